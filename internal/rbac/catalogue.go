package rbac

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/actor"
)

// Permission is an entry of the catalogue.
type Permission struct {
	Name        actor.Permission
	Description string
}

// Catalogue is the closed list of permissions that endpoints check. It never
// changes while the program runs.
type Catalogue struct {
	list  []Permission
	names []actor.Permission // sorted
}

var permissionForm = regexp.MustCompile(`^[a-z][a-z_]*:[a-z][a-z_]*$`)

// NewCatalogue returns the catalogue of all lists together, sorted by name.
// It fails if a name is not of the form "resource:action", stands twice, or
// has no description.
func NewCatalogue(lists ...[]Permission) (Catalogue, error) {
	c := Catalogue{list: slices.Concat(lists...)}
	slices.SortFunc(c.list, func(a, b Permission) int { return strings.Compare(string(a.Name), string(b.Name)) })
	for i, p := range c.list {
		if !permissionForm.MatchString(string(p.Name)) || p.Description == "" {
			return Catalogue{}, fmt.Errorf("rbac: permission %q: want resource:action and a description", p.Name)
		}
		if i > 0 && p.Name == c.list[i-1].Name {
			return Catalogue{}, fmt.Errorf("rbac: permission %q stands twice in the catalogue", p.Name)
		}
		c.names = append(c.names, p.Name)
	}
	return c, nil
}

// List returns every permission, sorted by name.
func (c Catalogue) List() []Permission { return slices.Clone(c.list) }

// Has reports whether the catalogue lists p.
func (c Catalogue) Has(p actor.Permission) bool {
	_, ok := slices.BinarySearch(c.names, p)
	return ok
}

// known returns those of ps that the catalogue lists, sorted, each once.
func (c Catalogue) known(ps []actor.Permission) []actor.Permission {
	return set(slices.DeleteFunc(slices.Clone(ps), func(p actor.Permission) bool { return !c.Has(p) }))
}

// set sorts ps in place and drops what stands twice.
func set(ps []actor.Permission) []actor.Permission {
	slices.Sort(ps)
	return slices.Compact(ps)
}

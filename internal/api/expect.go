package api

import "fmt"

// Expected is Version for use cases to which 0 means any version.
func (m IfMatch) Expected(id fmt.Stringer) (int64, error) {
	v, err := m.Version(id)
	switch {
	case err != nil || v == nil:
		return 0, err
	case *v < 1: // versions begin at 1
		return 0, ErrPreconditionFailed
	}
	return *v, nil
}

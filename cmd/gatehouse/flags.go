package main

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"gatehouse/internal/config"
)

// configFlags gives a command that embeds it one flag for every setting.
type configFlags struct{ kong.Plugins }

// configFlagSet holds the flags that package config asks for. Their struct is
// made from its table, so that a setting is named in one place.
type configFlagSet struct {
	fields reflect.Value // a pointer to a struct of strings
	names  []string      // of the flags, by field
}

func newConfigFlags() *configFlagSet {
	s := &configFlagSet{}
	var fields []reflect.StructField
	add := func(flag, kind, help string) {
		fields = append(fields, reflect.StructField{
			Name: fmt.Sprintf("F%d", len(fields)), Type: reflect.TypeFor[string](),
			Tag: reflect.StructTag(fmt.Sprintf(`name:%q help:%q placeholder:%q group:"Configuration (docs/configuration.md):"`, flag, help, kind)),
		})
		s.names = append(s.names, flag)
	}
	for _, o := range config.Options() {
		help := o.Help + " (default: " + o.Default + ")"
		if o.HasFlag {
			add(o.Flag, strings.ToUpper(o.Flag[strings.LastIndex(o.Flag, "-")+1:]), help)
		}
		if o.Secret {
			add(o.Flag+"-file", "FILE", "file that holds "+o.Name)
		}
	}
	s.fields = reflect.New(reflect.StructOf(fields))
	return s
}

// attach gives the flags to every command below v that embeds configFlags. One
// command runs, so all may share them.
func (s *configFlagSet) attach(v reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case f.Type() == reflect.TypeFor[kong.Plugins]():
			f.Set(reflect.ValueOf(kong.Plugins{s.fields.Interface()}))
		case f.Kind() == reflect.Struct:
			s.attach(f)
		}
	}
}

// values returns the flags that were given.
func (s *configFlagSet) values() map[string]string {
	given := map[string]string{}
	for i, name := range s.names {
		if v := s.fields.Elem().Field(i).String(); v != "" {
			given[name] = v
		}
	}
	return given
}

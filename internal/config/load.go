package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxFile bounds every file that Load reads.
const maxFile = 1 << 20

// needMode is the fault of a secret file that others may read.
const needMode = "the file must not be readable by group or others (chmod 400)"

// Input is all that Load looks at.
type Input struct {
	Flags    map[string]string                                         // by name without dashes: "database-url"
	Environ  []string                                                  // as os.Environ gives it
	ReadFile func(path string) (data []byte, m fs.FileMode, err error) // package function ReadFile, but in tests
}

// Loaded is a valid configuration and where it came from.
type Loaded struct {
	Config
	Values   []Value  // every setting, in the order of the documents
	Warnings []string // to be logged at the start
}

// Value is a setting as it may be shown: secrets are replaced.
type Value struct {
	Name   string `json:"name"`
	Key    string `json:"-"`
	Shown  string `json:"value"`
	Source string `json:"source"`
}

// Fault is one thing that is wrong with the configuration.
type Fault struct {
	Name    string `json:"name"`
	Source  string `json:"source,omitempty"`
	Message string `json:"message"`
}

// String returns the fault in one line.
func (f Fault) String() string {
	if f.Source == "" {
		return f.Name + ": " + f.Message
	}
	return f.Name + " (" + f.Source + "): " + f.Message
}

// Error lists every fault of a configuration. None repeats a value.
type Error struct{ Faults []Fault }

// Error returns one line per fault.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("the configuration is not valid:")
	for _, f := range e.Faults {
		b.WriteString("\n  " + f.String())
	}
	return b.String()
}

// setting is a value on its way from a source to its option.
type setting struct {
	value  string
	source string      // for people
	file   string      // the file that holds the value, where one does
	mode   fs.FileMode // of that file, once it is read
	err    error       // why the value could not be had
}

// loader gathers settings and faults.
type loader struct {
	in       Input
	env      map[string]string
	yaml     map[string]setting
	settings map[string]setting // by option name
	out      Loaded
	faults   []Fault
}

// Load reads the configuration. On failure it returns an *Error with every
// fault, and the warnings beside it.
func Load(in Input) (*Loaded, error) {
	l := &loader{in: in, env: environ(in.Environ), settings: map[string]setting{}}
	l.readConfigFile()
	l.refuseUnknown()
	for _, o := range options() {
		l.resolve(o)
	}
	l.rules()
	if len(l.faults) > 0 {
		return &Loaded{Warnings: l.out.Warnings}, &Error{Faults: l.faults}
	}
	return &l.out, nil
}

func environ(list []string) map[string]string {
	env := map[string]string{}
	for _, entry := range list {
		if name, value, ok := strings.Cut(entry, "="); ok && value != "" { // empty means not set
			env[name] = value
		}
	}
	return env
}

func (l *loader) fault(name, source, message string) {
	l.faults = append(l.faults, Fault{Name: name, Source: source, Message: message})
}

func (l *loader) warn(format string, args ...any) {
	l.out.Warnings = append(l.out.Warnings, fmt.Sprintf(format, args...))
}

// refuseUnknown finds names of ours that no option has, and flags that the
// command line made up.
func (l *loader) refuseUnknown() {
	known := map[string]bool{}
	for _, o := range options() {
		known[o.name] = true
		if o.secret() {
			known[o.name+fileSuffix] = true
		}
	}
	for _, name := range sortedKeys(l.env) {
		switch {
		case known[name] || !strings.HasPrefix(name, prefix):
		case isServiceLink(name, l.env[name]):
			l.warn("%s is taken for a Kubernetes service link and ignored", name)
		default:
			l.fault(name, "environment", unknownMessage(name))
		}
	}
	for _, key := range sortedKeys(l.yaml) {
		if name := nameOf(key); !known[name] || name == nameConfig {
			l.fault(key, l.yaml[key].source, unknownMessage(name))
		}
	}
	for _, flag := range sortedKeys(l.in.Flags) {
		if !known[nameOf(strings.ReplaceAll(flag, "-", "_"))] {
			l.fault("--"+flag, "", unknownMessage(""))
		}
	}
}

func unknownMessage(name string) string {
	if slices.Contains(unsupported(), strings.TrimSuffix(name, fileSuffix)) {
		return "is not supported by this version"
	}
	return "is not a known name"
}

// nameOf turns a key of the YAML file into the name of the variable.
func nameOf(key string) string {
	if strings.HasPrefix(key, "otel_") {
		return strings.ToUpper(key)
	}
	return prefix + strings.ToUpper(key)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// isServiceLink reports whether Kubernetes made the variable for a Service
// called gatehouse or gatehouse-something. Name and value must both fit.
func isServiceLink(name, value string) bool {
	rest := strings.TrimPrefix(name, prefix)
	match := func(pattern string) bool {
		return regexp.MustCompile(`^([A-Z0-9_]+_)?` + pattern + `$`).MatchString(rest)
	}
	_, addrErr := netip.ParseAddr(value)
	scheme, _, isURL := strings.Cut(value, "://")
	isURL = isURL && slices.Contains([]string{"tcp", "udp", "sctp"}, scheme)
	switch {
	case match(`SERVICE_HOST`), match(`PORT_[0-9]+_(TCP|UDP|SCTP)_ADDR`):
		return addrErr == nil
	case match(`SERVICE_PORT(_[A-Z0-9_]+)?`), match(`PORT_[0-9]+_(TCP|UDP|SCTP)_PORT`):
		return isPort(value, 1)
	case match(`PORT`), match(`PORT_[0-9]+_(TCP|UDP|SCTP)`):
		return isURL
	case match(`PORT_[0-9]+_(TCP|UDP|SCTP)_PROTO`):
		return slices.Contains([]string{"tcp", "udp", "sctp"}, value)
	}
	return false
}

// resolve finds an option's value, stores it and remembers how to show it.
func (l *loader) resolve(o option) {
	s := l.find(o)
	l.settings[o.name] = s
	l.out.Values = append(l.out.Values, Value{Name: o.name, Key: o.key(), Shown: show(o, s.value), Source: s.source})
	err := s.err
	switch {
	case err != nil, s.value == "":
	case !utf8.ValidString(s.value) || strings.ContainsFunc(s.value, unicode.IsControl):
		err = errors.New("must be one line of UTF-8 text")
	default:
		err = o.set(&l.out.Config, s.value)
	}
	if err != nil {
		l.fault(o.name, s.source, err.Error())
	}
}

// find returns the value of the source with the highest rank.
func (l *loader) find(o option) setting {
	if s, ok := l.pick(o, l.flag); ok {
		return s
	}
	if s, ok := l.pick(o, l.variable); ok {
		return s
	}
	if s, ok := l.pick(o, func(name string) (setting, bool) {
		s, ok := l.yaml[option{name: name}.key()]
		return s, ok
	}); ok {
		return s
	}
	return setting{value: o.def, source: "default"}
}

// pick looks into one source for the value itself and, for a secret, for the
// name of the file that holds it.
func (l *loader) pick(o option, look func(name string) (setting, bool)) (setting, bool) {
	s, ok := look(o.name)
	if !o.secret() {
		return s, ok
	}
	f, okFile := look(o.name + fileSuffix)
	switch {
	case ok && okFile:
		return setting{source: s.source, err: fmt.Errorf("is given itself and as %s", o.name+fileSuffix)}, true
	case okFile:
		return l.readSecret(f), true
	}
	return s, ok
}

func (l *loader) flag(name string) (setting, bool) {
	flag := strings.ReplaceAll(option{name: name}.key(), "_", "-")
	v := l.in.Flags[flag]
	return setting{value: v, source: "flag --" + flag}, v != ""
}

func (l *loader) variable(name string) (setting, bool) {
	v := l.env[name]
	return setting{value: v, source: "environment " + name}, v != ""
}

// readSecret replaces the name of a file by its content, without the white
// space at its end.
func (l *loader) readSecret(f setting) setting {
	data, mode, err := l.in.ReadFile(f.value)
	s := setting{value: trimEnd(data), source: f.source, file: f.value, mode: mode}
	switch {
	case err != nil:
		s.err = fmt.Errorf("the file cannot be read: %w", cause(err))
	case s.value == "":
		s.err = errors.New("the file is empty")
	}
	return s
}

func trimEnd(data []byte) string { return strings.TrimRight(string(data), " \t\r\n") }

// cause drops the path from a file error: it may be a secret that was put
// where the name of its file belongs.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// ReadFile reads a regular file of at most 1 MiB and returns its mode too.
func ReadFile(path string) ([]byte, fs.FileMode, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errors.New("not a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = errors.New("larger than 1 MiB")
	}
	return data, info.Mode(), err
}

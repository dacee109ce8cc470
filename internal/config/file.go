package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readConfigFile reads the YAML file, where one is named by flag or variable.
func (l *loader) readConfigFile() {
	s, ok := l.flag(nameConfig)
	if !ok {
		s, ok = l.variable(nameConfig)
	}
	if !ok {
		return
	}
	data, mode, err := l.in.ReadFile(s.value)
	if err != nil {
		l.fault(nameConfig, s.source, "the file cannot be read: "+cause(err).Error())
		return
	}
	pairs, err := parseYAML(data)
	if err != nil {
		l.fault(nameConfig, s.source, err.Error())
		return
	}
	l.yaml = map[string]setting{}
	for _, p := range pairs {
		source := fmt.Sprintf("file %s:%d", filepath.Base(s.value), p.line)
		if _, twice := l.yaml[p.key]; twice {
			l.fault(p.key, source, "is given twice")
			continue
		}
		if p.value != "" {
			l.yaml[p.key] = setting{value: p.value, source: source, file: s.value, mode: mode}
		}
	}
}

// pair is a line of the YAML file.
type pair struct {
	key, value string
	line       int
}

// parseYAML reads one mapping of names to single values or lists of them. It
// takes scalars as they are written, so that "off" stays "off". Its errors name
// lines, never content: the file may hold secrets.
func parseYAML(data []byte) ([]pair, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, errors.New("is not valid YAML" + lineOf(err))
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("must hold one YAML document")
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, errors.New("must be a YAML mapping of names to values")
	}
	var pairs []pair
	for i := 0; i < len(root.Content); i += 2 {
		k, v := root.Content[i], root.Content[i+1]
		if !regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`).MatchString(k.Value) {
			return nil, fmt.Errorf("line %d must begin with a name in lower case", k.Line)
		}
		value, ok := scalar(v)
		if !ok {
			return nil, fmt.Errorf("line %d must be a single value, or a list of single values without commas", v.Line)
		}
		pairs = append(pairs, pair{key: k.Value, value: value, line: k.Line})
	}
	return pairs, nil
}

func scalar(n *yaml.Node) (string, bool) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return "", true
	case n.Kind == yaml.ScalarNode:
		return n.Value, true
	case n.Kind != yaml.SequenceNode:
		return "", false
	}
	var list []string
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode || strings.Contains(item.Value, ",") {
			return "", false
		}
		list = append(list, item.Value)
	}
	return strings.Join(list, ","), true
}

func lineOf(err error) string {
	if m := regexp.MustCompile(`line (\d+)`).FindStringSubmatch(err.Error()); m != nil {
		return " (line " + m[1] + ")"
	}
	return ""
}

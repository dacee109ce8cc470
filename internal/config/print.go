package config

import (
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

const redacted = "[redacted]"

// show returns a value as it may be seen.
func show(o option, value string) string {
	switch {
	case value == "" || o.privacy == public:
		return value
	case o.privacy == secretURL:
		return showURL(value)
	}
	return redacted
}

// showURL keeps scheme, hosts and path. Whatever else a URL holds, or all of it
// when its parts cannot be told apart, is redacted.
func showURL(s string) string {
	if strings.HasPrefix(s, sqliteScheme) {
		return s
	}
	u, ok := parseHosts(s)
	if !ok {
		return redacted
	}
	shown := u.Scheme + "://"
	if u.User != nil {
		shown += redacted + "@"
	}
	shown += u.Host + u.Path
	if u.RawQuery != "" {
		shown += "?" + redacted
	}
	return shown
}

// Print writes every setting as YAML, with its source in a comment. Secrets
// are replaced.
func (l *Loaded) Print(w io.Writer) error {
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, v := range l.Values {
		value := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v.Shown, LineComment: v.Source}
		if v.Shown == "" {
			value.Tag, value.Value = "!!null", "null"
		}
		root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: v.Key}, value)
	}
	out, err := yaml.Marshal(root)
	if err != nil {
		return fmt.Errorf("print configuration: %w", err)
	}
	_, err = w.Write(out)
	return err
}

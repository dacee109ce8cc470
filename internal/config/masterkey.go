package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"gatehouse/internal/platform/secret"
)

// ParseMasterKeys reads one or more keys, separated by commas, each 32 bytes
// in base64. It refuses a key that is too short, too long, too regular to have
// come from a random source, or there twice. Errors name the entry, never its
// content.
func ParseMasterKeys(s secret.String) ([]secret.Key, error) {
	var keys []secret.Key
	for i, entry := range entries(s.Reveal()) {
		raw, err := base64.StdEncoding.Strict().DecodeString(entry)
		if err != nil || len(raw) != len(secret.Key{}) {
			return nil, fmt.Errorf("entry %d must be 32 random bytes in base64 (openssl rand -base64 32)", i+1)
		}
		if regular(raw) {
			return nil, fmt.Errorf("entry %d is not random", i+1)
		}
		k := secret.Key(raw)
		if slices.Contains(keys, k) {
			return nil, fmt.Errorf("entry %d repeats an earlier one", i+1)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// regular reports whether the bytes repeat or count in equal steps. Random
// ones have fewer than 16 different values, or 16 equal steps, less often
// than once in 2^64 keys.
func regular(b []byte) bool {
	values, steps := map[byte]int{}, map[byte]int{}
	most := 0
	for i, v := range b {
		values[v]++
		if i > 0 {
			step := v - b[i-1]
			steps[step]++
			most = max(most, steps[step])
		}
	}
	return len(values) < 16 || most >= 16
}

// EnsureMasterKey returns the keys in the file at path, which it makes with
// mode 0600 when there is none. Two processes that start at once end up with
// the same key. A file that others may read is refused.
func EnsureMasterKey(path string) (keys []secret.Key, made bool, err error) {
	data, mode, err := ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if made, err = makeMasterKey(path); err != nil {
			return nil, false, fmt.Errorf("make master key: %w", err)
		}
		data, mode, err = ReadFile(path)
	}
	if err != nil {
		return nil, false, fmt.Errorf("read master key: %w", err)
	}
	if mode&0o077 != 0 {
		return nil, false, fmt.Errorf("master key %s: %s", path, needMode)
	}
	keys, err = ParseMasterKeys(secret.String(trimEnd(data)))
	if err != nil {
		return nil, false, fmt.Errorf("master key %s: %w", path, err)
	}
	return keys, made, nil
}

// makeMasterKey puts a whole key in place or nothing at all. It reports false
// when another process was first, whose key it leaves alone.
func makeMasterKey(path string) (made bool, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".master-*") // 0600
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	k := secret.NewKey()
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(k[:]) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return false, err
	}
	if err := os.Link(f.Name(), path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return false, nil
		}
		return false, err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return true, err
	}
	return true, errors.Join(dir.Sync(), dir.Close()) // a key lost to a power cut loses the database
}

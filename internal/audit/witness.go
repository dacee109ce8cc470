package audit

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"sync"
)

// FileWitness keeps the newest head in a file beside, but not inside, the
// database.
type FileWitness struct {
	path string
	mu   sync.Mutex
}

// NewFileWitness returns the witness at path, which need not exist.
func NewFileWitness(path string) *FileWitness { return &FileWitness{path: path} }

// Newest is Witness.Newest.
func (w *FileWitness) Newest() (Head, error) {
	b, err := os.ReadFile(w.path)
	if errors.Is(err, fs.ErrNotExist) {
		return Head{}, nil
	}
	if err != nil {
		return Head{}, err
	}
	var h Head
	return h, json.Unmarshal(b, &h)
}

// Save is Witness.Save. An older head replaces nothing.
func (w *FileWitness) Save(h Head) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	known, err := w.Newest()
	if err != nil || known.Number >= h.Number {
		return err
	}
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	next := w.path + ".new"
	if err := os.WriteFile(next, append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(next, w.path)
}

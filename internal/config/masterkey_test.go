package config_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"gatehouse/internal/config"
	"gatehouse/internal/platform/secret"
)

func TestEnsureMasterKey(t *testing.T) {
	t.Parallel()
	t.Run("ConcurrentStartsAgree", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "master.key")
		keys := make([]secret.Key, 8)
		made := make([]bool, 8)
		var wg sync.WaitGroup
		for i := range keys {
			wg.Go(func() {
				got, first, err := config.EnsureMasterKey(path)
				if err != nil {
					t.Error(err)
					return
				}
				keys[i], made[i] = got[0], first
			})
		}
		wg.Wait()
		makers := 0
		for i := range keys {
			if keys[i] != keys[0] {
				t.Error("two different keys")
			}
			if made[i] {
				makers++
			}
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 || makers != 1 {
			t.Errorf("mode %v, %d makers, %v", info.Mode(), makers, err)
		}
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
			t.Errorf("files left behind: %v", left)
		}
	})
	t.Run("OpenFileRefused", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "master.key")
		if _, _, err := config.EnsureMasterKey(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o640); err != nil {
			t.Fatal(err)
		}
		if _, _, err := config.EnsureMasterKey(path); err == nil {
			t.Error("a key that the group may read is accepted")
		}
	})
}

package keyring

import (
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/platform/secret"
)

// snapshot is what a node knows of the keys. It never changes.
type snapshot struct {
	at        time.Time // when it was read
	keys      []Key     // all of them, by purpose and age
	material  map[ID]material
	current   map[Purpose]Named
	symmetric map[named]secret.Key
	signing   map[named]SigningKey // those that verify
	active    map[Purpose]SigningKey
}

type named struct {
	purpose Purpose
	id      string
}

// newSnapshot opens the rows as they are at the instant at. What before has
// opened is not opened again. Rows that do not open are left out and named in
// the error; the rest serves.
func newSnapshot(rows []stored, m masters, before *snapshot, at time.Time) (*snapshot, error) {
	s := &snapshot{
		at:        at,
		keys:      make([]Key, 0, len(rows)),
		material:  make(map[ID]material, len(rows)),
		current:   make(map[Purpose]Named),
		symmetric: make(map[named]secret.Key),
		signing:   make(map[named]SigningKey),
		active:    make(map[Purpose]SigningKey),
	}
	var faults []error
	for _, row := range rows {
		s.keys = append(s.keys, row.Key)
		if row.Status == Withdrawn || row.over(at) {
			continue
		}
		mat, err := open(row, m, before)
		if err != nil {
			faults = append(faults, fmt.Errorf("key %s for %s: %w", row.ID, row.Purpose, err))
			continue
		}
		s.add(row.Key, mat)
	}
	return s, errors.Join(faults...)
}

// over reports whether a retired key has served its time.
func (k Key) over(at time.Time) bool {
	return k.Status == Retired && !k.DestroyAt.IsZero() && !at.Before(k.DestroyAt)
}

func open(row stored, m masters, before *snapshot) (material, error) {
	if before != nil {
		if mat, ok := before.material[row.ID]; ok {
			if row.Status == Retired {
				mat.signer = nil
			}
			return mat, nil
		}
	}
	if row.wrapped == nil {
		return decodePublic(row.Algorithm, row.Public)
	}
	plain, err := m.unwrap(row.MasterKey, row.wrapped, aadKeys(row.ID))
	if err != nil {
		return material{}, err
	}
	defer clear(plain)
	return decodePrivate(row.Algorithm, plain)
}

func (s *snapshot) add(k Key, mat material) {
	s.material[k.ID] = mat
	name := named{k.Purpose, k.ID.String()}
	if mat.symmetric != nil {
		s.symmetric[name] = *mat.symmetric
		if k.Status == Active {
			s.current[k.Purpose] = Named{ID: name.id, Key: *mat.symmetric}
		}
		return
	}
	sk := SigningKey{ID: name.id, Algorithm: k.Algorithm, Status: k.Status, Signer: mat.signer, Public: mat.public}
	s.signing[name] = sk
	if k.Status == Active {
		s.active[k.Purpose] = sk
	}
}

// find returns the key of a purpose with the given status: the active one, or
// the next.
func (s *snapshot) find(p Purpose, status Status) (Key, bool) {
	for _, k := range s.keys {
		if k.Purpose == p && k.Status == status {
			return k, true
		}
	}
	return Key{}, false
}

// missing returns the purposes without an active key.
func (s *snapshot) missing() []Purpose {
	var list []Purpose
	for _, p := range Purposes() {
		if _, ok := s.find(p, Active); !ok {
			list = append(list, p)
		}
	}
	return list
}

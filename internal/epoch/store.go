package epoch

import (
	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/id"
)

type subject struct{}

// ref gives 16 bytes the form in which the database keeps identifiers.
func ref(b [16]byte) id.ID[subject] { return id.ID[subject](b) }

func scanRef(s db.Scanner) (Ref, error) {
	var r Ref
	var sub id.ID[subject]
	err := s.Scan(&sub, &r.Epoch)
	r.Subject = sub
	return r, err
}

package api

import "time"

// Now is the surface's clock.
func (s *Surface) Now() time.Time { return s.deps.Now() }

package job

import "time"

// Backoff is the pause after an attempt.
func Backoff(attempt int) time.Duration { return backoff(attempt) }

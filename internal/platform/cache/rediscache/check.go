package rediscache

import "context"

// Check connects once and tries whether Redis takes a write. It is for a Cache
// that does not Run.
func (r *Cache) Check(ctx context.Context) error {
	err := r.probe(ctx)
	if client := r.client.Swap(nil); client != nil {
		(*client).Close()
	}
	return err
}

package api

// WholePage returns a page of a list that is short enough to be at hand as a
// whole, in its order. key names an item in cursors; after reports whether an
// item comes after the one with that key, which may be gone.
func WholePage[T any](l *Listing, all []T, key func(T) string, after func(item T, key string) bool) (*PageOutput[T], error) {
	var total *int64
	if l.IncludeTotal {
		n := int64(len(all))
		total = &n
	}
	var last string
	began, err := l.After(&last)
	if err != nil {
		return nil, err
	}
	for began && len(all) > 0 && !after(all[0], last) {
		all = all[1:]
	}
	if len(all) <= l.Limit {
		return NewPage(l, all, nil, total)
	}
	all = all[:l.Limit]
	return NewPage(l, all, key(all[len(all)-1]), total)
}

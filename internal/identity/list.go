package identity

import (
	"context"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/internal/platform/db"
	"gatehouse/internal/platform/errs"
)

// Sort is an order of a listing: a column, and a leading "-" for the reverse.
type Sort string

// The orders of a listing. Who never signed in comes before who did.
const (
	ByCreatedAt       Sort = "created_at"
	ByCreatedAtDesc   Sort = "-created_at"
	ByEmail           Sort = "email"
	ByEmailDesc       Sort = "-email"
	ByLastLoginAt     Sort = "last_login_at"
	ByLastLoginAtDesc Sort = "-last_login_at"
)

// IsSort reports whether s names an order.
func IsSort(s string) bool {
	switch Sort(s) {
	case ByCreatedAt, ByCreatedAtDesc, ByEmail, ByEmailDesc, ByLastLoginAt, ByLastLoginAtDesc:
		return true
	}
	return false
}

// Subquery returns SQL that selects ids of people, written by the capability
// that owns the tables it reads, and appends its values to args. So a listing
// narrows by what others know without reading their tables.
type Subquery func(args *[]any) string

// Query says which people to list. The zero value lists everyone who is not
// deleted, newest first.
type Query struct {
	Search        string // fragment of e-mail, username or name; "" is any
	Status        Status // "" is any but Deleted
	EmailVerified *bool
	CreatedAfter  time.Time // exclusive
	CreatedBefore time.Time // exclusive
	Among         Subquery  // nil is everyone
	Sort          Sort      // "" is ByCreatedAtDesc
	After         *Cursor   // nil is the first page
	Limit         int       // 0 is 50
	IncludeTotal  bool
}

// Cursor is the place in a listing behind which the next page begins. It
// belongs to one order. It names a place, not a page: the person there may be
// gone.
type Cursor struct {
	Time  time.Time // of the instant sorted by; zero: never
	Email string    // canonical, for the orders by e-mail
	ID    UserID
}

// Page is a part of a listing.
type Page struct {
	Users []User
	Next  *Cursor // nil after the last page
	Total int64   // where asked for
}

const defaultLimit = 50

const maxSearch = 100

// searchTimeout bounds a search, which may have to look at everyone (IN-7).
const searchTimeout = 300 * time.Millisecond

// Check returns every fault of what a client may ask for at once, or nil.
func (q Query) Check() error {
	var faults []errs.Field
	if q.Search != "" && (utf8.RuneCountInString(q.Search) > maxSearch || !utf8.ValidString(q.Search) || strings.ContainsRune(q.Search, 0)) {
		faults = append(faults, errs.Field{Field: "q", Code: "invalid", Message: "must be 1 to 100 characters"})
	}
	if q.Status != "" && !IsStatus(string(q.Status)) {
		faults = append(faults, errs.Field{Field: "status", Code: "invalid", Message: "must be a status of accounts"})
	}
	if q.Sort != "" && !IsSort(string(q.Sort)) {
		faults = append(faults, errs.Field{Field: "sort", Code: "invalid", Message: "must be created_at, email or last_login_at, with '-' in front for the reverse"})
	}
	if faults != nil {
		return errs.InvalidFields(faults...)
	}
	return nil
}

// List returns a page of people, or what Check returns. Its cost does not grow
// with its depth.
func (s *Service) List(ctx context.Context, query Query) (Page, error) {
	if err := query.Check(); err != nil {
		return Page{}, err
	}
	if query.Limit <= 0 {
		query.Limit = defaultLimit
	}
	if query.Sort == "" {
		query.Sort = ByCreatedAtDesc
	}
	var args []any
	where, err := s.condition(ctx, query, &args)
	if err != nil {
		return Page{}, err
	}
	var rows []row
	for _, part := range query.parts() {
		sql, all := part.statement(where, args, query.Limit+1-len(rows))
		more, err := s.read(ctx, query, sql, all)
		if err != nil {
			return Page{}, err
		}
		if rows = append(rows, more...); len(rows) > query.Limit {
			break
		}
	}
	var page Page
	if len(rows) > query.Limit {
		rows = rows[:query.Limit]
		page.Next = query.cursor(rows[len(rows)-1].User)
	}
	if page.Users, err = s.openAll(ctx, rows); err != nil {
		return Page{}, err
	}
	if query.IncludeTotal {
		page.Total, err = s.count(ctx, where, args)
	}
	return page, err
}

// read runs a page's statement. The everyday listing keeps its plan; a filter
// is planned for its values, since a rare one and a frequent one want
// different indexes.
func (s *Service) read(ctx context.Context, query Query, sql string, args []any) ([]row, error) {
	run := s.db.Query
	if query.filtered() {
		run = s.db.QueryPlanned
	}
	if query.Search != "" {
		bounded, cancel := context.WithTimeout(ctx, searchTimeout)
		defer cancel()
		ctx = bounded
	}
	rows, err := run(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return db.Collect(rows, scanUser)
}

func (s *Service) openAll(ctx context.Context, rows []row) ([]User, error) {
	var phones []UserID
	for _, r := range rows {
		if len(r.phone) > 0 {
			phones = append(phones, r.ID)
		}
	}
	if err := s.keys.LoadPersonKeys(ctx, s.db, phones); err != nil {
		return nil, err
	}
	users := make([]User, len(rows))
	for i, r := range rows {
		var err error
		if users[i], err = s.open(ctx, s.db, r); err != nil {
			return nil, err
		}
	}
	return users, nil
}

func (s *Service) count(ctx context.Context, where string, args []any) (n int64, err error) {
	rows, err := s.db.QueryPlanned(ctx, `SELECT count(*) FROM users WHERE `+where, args...)
	if err != nil {
		return 0, err
	}
	_, err = db.Collect(rows, func(row db.Scanner) (struct{}, error) { return struct{}{}, row.Scan(&n) })
	return n, err
}

// Count returns how many people are not deleted.
func (s *Service) Count(ctx context.Context, q db.Querier) (n int64, err error) {
	return n, q.QueryRow(ctx, `SELECT count(*) FROM users WHERE deleted_at IS NULL`).Scan(&n)
}

func (q Query) filtered() bool {
	return q.Search != "" || q.Status != "" || q.EmailVerified != nil || q.Among != nil ||
		!q.CreatedAfter.IsZero() || !q.CreatedBefore.IsZero()
}

// condition builds the WHERE of the filters from constant fragments.
func (s *Service) condition(ctx context.Context, q Query, args *[]any) (string, error) {
	parts := []string{"deleted_at IS NULL"}
	add := func(fragment string, value any) {
		*args = append(*args, value)
		parts = append(parts, fragment+strconv.Itoa(len(*args)))
	}
	switch q.Status {
	case "":
	case Deleted:
		parts[0] = "deleted_at IS NOT NULL"
	default:
		add("account_status = $", string(q.Status))
	}
	if q.EmailVerified != nil {
		add("email_verified = $", *q.EmailVerified)
	}
	if !q.CreatedAfter.IsZero() {
		add("created_at > $", q.CreatedAfter)
	}
	if !q.CreatedBefore.IsZero() {
		add("created_at < $", q.CreatedBefore)
	}
	if q.Among != nil {
		parts = append(parts, "id IN ("+q.Among(args)+")")
	}
	if q.Search != "" {
		fragment := Fold(q.Search)
		if fragment == "" { // nothing but marks, which no text keeps
			return "FALSE", nil
		}
		contains, err := s.db.Contains(ctx, "users", "search_text", fragment, args)
		if err != nil {
			return "", err
		}
		parts = append(parts, contains)
	}
	return strings.Join(parts, " AND "), nil
}

// part is a stretch of a listing that one index yields in order. The order by
// last sign-in has two: who never did has no place in the key.
type part struct {
	where string
	key   []string // columns of the order, also of the cursor
	from  []any    // values of the cursor, or nil
	desc  bool
}

func (q Query) parts() []part {
	column, desc := strings.CutPrefix(string(q.Sort), "-")
	key := func(where string, columns ...string) part {
		return part{where: where, key: columns, desc: desc}
	}
	if column != string(ByLastLoginAt) {
		if column == string(ByEmail) {
			column = "canonical_email"
		}
		p := key("", column, "id")
		if c := q.After; c != nil {
			p.from = []any{c.Time, c.ID}
			if column == "canonical_email" {
				p.from[0] = c.Email
			}
		}
		return []part{p}
	}
	never, ever := key(" AND last_login_at IS NULL", "id"), key(" AND last_login_at IS NOT NULL", "last_login_at", "id")
	parts := []part{never, ever}
	if desc {
		parts = []part{ever, never}
	}
	if c := q.After; c != nil {
		in := &parts[0]
		if c.Time.IsZero() == desc { // the cursor stands in the second stretch
			parts = parts[1:]
			in = &parts[0]
		}
		in.from = []any{c.ID}
		if !c.Time.IsZero() {
			in.from = []any{c.Time, c.ID}
		}
	}
	return parts
}

func (p part) statement(where string, args []any, limit int) (sql string, all []any) {
	all = append(all, args...)
	direction, after := "", " > "
	if p.desc {
		direction, after = " DESC", " < "
	}
	sql = `SELECT ` + columns + ` FROM users WHERE ` + where + p.where
	if p.from != nil {
		var places []string
		for _, v := range p.from {
			all = append(all, v)
			places = append(places, "$"+strconv.Itoa(len(all)))
		}
		sql += ` AND (` + strings.Join(p.key, ", ") + `)` + after + `(` + strings.Join(places, ", ") + `)`
	}
	// The limit stands in the text: of one it can't see PostgreSQL assumes a
	// tenth of the table and may sort all of it.
	return sql + ` ORDER BY ` + strings.Join(p.key, direction+", ") + direction + ` LIMIT ` + strconv.Itoa(limit), all
}

func (q Query) cursor(last User) *Cursor {
	c := &Cursor{ID: last.ID}
	switch q.Sort {
	case ByEmail, ByEmailDesc:
		c.Email, _ = last.canonical()
	case ByLastLoginAt, ByLastLoginAtDesc:
		c.Time = last.LastLoginAt
	default:
		c.Time = last.CreatedAt
	}
	return c
}

package userapi

import (
	"context"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/actor"
	"gatehouse/internal/api"
	"gatehouse/internal/api/userview"
	"gatehouse/internal/identity"
)

type listInput struct {
	api.Listing

	Search        *string         `query:"q" minLength:"1" maxLength:"100" doc:"A fragment of e-mail, username or name"`
	Status        identity.Status `query:"status" enum:"active,pending,suspended,deactivated,deleted" doc:"Deleted people are listed only when asked for"`
	Role          *string         `query:"role" minLength:"1" maxLength:"50" doc:"Name of a role that they hold"`
	EmailVerified *bool           `query:"email_verified"`
	CreatedAfter  time.Time       `query:"created_after"`
	CreatedBefore time.Time       `query:"created_before"`
	Sort          identity.Sort   `query:"sort" enum:"created_at,-created_at,email,-email,last_login_at,-last_login_at" default:"-created_at" doc:"With '-' in front for the reverse"`
}

func (a *surface) list(ctx context.Context, by actor.Actor, in *listInput) (*api.PageOutput[userview.User], error) {
	query, err := in.query()
	if err != nil {
		return nil, err
	}
	page, err := a.Accounts.List(ctx, by, query)
	if err != nil {
		return nil, err
	}
	shown := make([]userview.User, len(page.People))
	for i, p := range page.People {
		shown[i] = userview.From(p)
	}
	var total *int64
	if in.IncludeTotal {
		total = &page.Total
	}
	if page.Next == nil {
		return api.NewPage(&in.Listing, shown, nil, total)
	}
	return api.NewPage(&in.Listing, shown, *page.Next, total)
}

func (in *listInput) query() (account.Query, error) {
	q := account.Query{
		Query: identity.Query{
			Search: *orEmpty(in.Search), Status: in.Status, EmailVerified: in.EmailVerified,
			CreatedAfter: in.CreatedAfter, CreatedBefore: in.CreatedBefore,
			Sort: in.Sort, Limit: in.Limit, IncludeTotal: in.IncludeTotal,
		},
		Role: *orEmpty(in.Role),
	}
	var after identity.Cursor
	began, err := in.After(&after)
	if began {
		q.After = &after
	}
	return q, err
}

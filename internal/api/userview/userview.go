// Package userview is the one shape in which every endpoint shows a person.
package userview

import (
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/identity"
)

// User is a person as clients see them.
type User struct {
	ID            identity.UserID `json:"id"`
	Email         string          `json:"email" format:"email"`
	Username      *string         `json:"username"`
	FirstName     *string         `json:"first_name"`
	LastName      *string         `json:"last_name"`
	Phone         *string         `json:"phone" doc:"In the form of E.164; masked for those who may read users but not write them"`
	AvatarURL     *string         `json:"avatar_url" format:"uri"`
	EmailVerified bool            `json:"email_verified"`
	AccountStatus identity.Status `json:"account_status" enum:"active,pending,suspended,deactivated,deleted"`
	Roles         []string        `json:"roles" doc:"Names of the roles, in order"`
	MFAEnabled    bool            `json:"mfa_enabled"`
	LastLoginAt   *time.Time      `json:"last_login_at"`
	CreatedAt     time.Time       `json:"created_at"`
	UpdatedAt     time.Time       `json:"updated_at"`
	DeletedAt     *time.Time      `json:"deleted_at"`
}

// From shows a person.
func From(p account.Person) User {
	return User{
		ID: p.ID, Email: p.Email, Username: text(p.Username), FirstName: text(p.FirstName), LastName: text(p.LastName),
		Phone: text(p.Phone), AvatarURL: text(p.AvatarURL), EmailVerified: p.EmailVerified, AccountStatus: p.Status,
		Roles: p.Roles, LastLoginAt: instant(p.LastLoginAt), CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
		DeletedAt: instant(p.DeletedAt),
	}
}

// text shows empty text as null.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// instant shows the zero instant as null.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

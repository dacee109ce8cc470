package identity

import "gatehouse/internal/platform/errs"

// Why somebody may not sign in or go on. They are told only to who has proved
// to be the person.
var (
	ErrEmailNotVerified = errs.New(errs.Forbidden, "email_not_verified", "Confirm your e-mail address first.")
	ErrSuspended        = errs.New(errs.Forbidden, "account_suspended", "This account is suspended.")
	ErrDeactivated      = errs.New(errs.Forbidden, "account_deactivated", "This account is deactivated.")
)

// RequireActive returns why an account in this state has no access, or nil.
func (s Status) RequireActive() error {
	switch s {
	case Active:
		return nil
	case Deactivated, Deleted:
		return ErrDeactivated
	default:
		return ErrSuspended
	}
}

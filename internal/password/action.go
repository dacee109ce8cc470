package password

import "gatehouse/internal/audit"

// Changed is the action in the log of everyone who replaces a password.
const Changed audit.Action = "password.changed"

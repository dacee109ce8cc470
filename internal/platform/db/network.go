package db

import (
	"errors"
	"io"
	"net"
)

// isNetwork reports whether err comes from the connection itself.
func isNetwork(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || err.Error() == "conn closed"
}

package rediscache

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Limits of what Redis may cost.
const (
	callLimit  = 50 * time.Millisecond // one call of a user's request, connecting included
	probeLimit = time.Second           // one background probe, connecting included
	probeEvery = time.Second           // while all is well
	retryEvery = 250 * time.Millisecond
	tripAfter  = 3 // failed calls in a row
)

// Sizes of a connection: two connections a node and server, small buffers.
const (
	nearBytes   = 16 << 20 // values kept near, for each connection
	bufferBytes = 64 << 10
	connections = 1 // as a power of two
)

// ErrURL is returned for an address that Open does not understand. It does
// not repeat the address, which may hold a password.
var ErrURL = errors.New("rediscache: the URL must be redis://[user:password@]host[:port][,host...][/database] or rediss://…")

// Config says where Redis is.
type Config struct {
	URL     string         // redis:// or rediss://; several hosts are nodes of one cluster
	RootCAs *x509.CertPool // that sign the servers' certificates; nil: the system's
	MinTLS  uint16         // 0: tls.VersionTLS12
	Logger  *slog.Logger
}

// options translates the configuration for the client.
func (c Config) options() (rueidis.ClientOption, error) {
	o := rueidis.ClientOption{
		Dialer:              net.Dialer{Timeout: probeLimit, KeepAlive: time.Second},
		ConnWriteTimeout:    probeLimit,
		CacheSizeEachConn:   nearBytes,
		ReadBufferEachConn:  bufferBytes,
		WriteBufferEachConn: bufferBytes,
		PipelineMultiplex:   connections,
		DisableRetry:        true, // a cache isn't worth a second try
		ClientName:          "gatehouse",
	}
	scheme, rest, ok := strings.Cut(c.URL, "://")
	if !ok || scheme != "redis" && scheme != "rediss" {
		return o, ErrURL
	}
	authority, path, _ := strings.Cut(rest, "/")
	userinfo, hosts := "", authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		userinfo, hosts = authority[:at+1], authority[at+1:]
	}
	for host := range strings.SplitSeq(hosts, ",") {
		u, err := url.Parse(scheme + "://" + userinfo + host)
		if err != nil || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
			return o, ErrURL
		}
		port := u.Port()
		if port == "" {
			port = "6379"
		}
		o.InitAddress = append(o.InitAddress, net.JoinHostPort(u.Hostname(), port))
		o.Username = u.User.Username()
		o.Password, _ = u.User.Password()
	}
	o.ForceSingleClient = len(o.InitAddress) == 1
	if path != "" {
		n, err := strconv.ParseUint(path, 10, 16)
		if err != nil || !o.ForceSingleClient { // a cluster has only database 0
			return o, ErrURL
		}
		o.SelectDB = int(n)
	}
	if scheme == "rediss" {
		// The name to verify is each server's own, so none is set here.
		o.TLSConfig = &tls.Config{MinVersion: max(c.MinTLS, tls.VersionTLS12), RootCAs: c.RootCAs}
	} else if c.RootCAs != nil {
		return o, fmt.Errorf("%w: certificates are given, but not rediss://", ErrURL)
	}
	return o, nil
}

package api_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"gatehouse/internal/actor"
	"gatehouse/internal/api"
	"gatehouse/internal/throttle"
)

func TestReplies_AllCarrySecurityHeaders(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), func(s *api.Surface) {
		api.Register(s, api.Route{Method: "GET", Path: "/panic", Access: api.Public()},
			func(context.Context, actor.Actor, *api.None) (*api.None, error) { panic("boom") })
	})
	for path, status := range map[string]int{
		"/things/mine": 401, "/nothing": 404, "/login": 405, "/panic": 500, "/things?x=" + strings.Repeat("y", 5000): 414,
	} {
		r := s.do(t, "GET", path, "")
		if r.StatusCode != status {
			t.Errorf("GET %.20s: %d, want %d", path, r.StatusCode, status)
		}
		for name, want := range map[string]string{
			"Strict-Transport-Security": "max-age=31536000; includeSubDomains",
			"Content-Security-Policy":   "default-src 'none'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
			"X-Content-Type-Options":    "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store", "Vary": "Origin",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("GET %.20s: %s is %q, want %q", path, name, got, want)
			}
		}
		if r.Header.Get("Server") != "" || r.Header.Get("X-Powered-By") != "" {
			t.Errorf("GET %.20s names its software", path)
		}
	}
}

func TestPaths_UnknownOnesAreProblemsAndNeverRedirects(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), nil)
	for _, path := range []string{"/", "/nothing", "/things/", "//things", "/things//mine", "/a/../things", "/things/mine/more", "/things/%zz0"[:8], "/things/%00", "/THINGS"} {
		s.do(t, "GET", path, "", "Authorization", "Bearer reader").wants(t, 404, "not_found")
	}
	s.do(t, "GET", "/things/not-an-id", "", "Authorization", "Bearer reader").wants(t, 404, "not_found")
}

func TestMethods(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), nil)
	for _, method := range []string{"PUT", "POST", "TRACE", "BREW"} {
		r := s.do(t, method, "/things/mine", "")
		r.wants(t, 405, "method_not_allowed")
		if got := r.Header.Get("Allow"); got != "GET, HEAD, OPTIONS" {
			t.Errorf("%s: Allow is %q", method, got)
		}
	}
	if r := s.do(t, "OPTIONS", "/things", ""); r.StatusCode != 204 || r.Header.Get("Allow") != "GET, HEAD, OPTIONS, POST" {
		t.Errorf("OPTIONS: %d, Allow %q", r.StatusCode, r.Header.Get("Allow"))
	}
	get := s.do(t, "GET", "/things/mine", "", "Authorization", "Bearer plain")
	head := s.do(t, "HEAD", "/things/mine", "", "Authorization", "Bearer plain")
	if head.StatusCode != 200 || head.text != "" || head.ContentLength != get.ContentLength {
		t.Errorf("HEAD: %d, %d bytes announced, %q", head.StatusCode, head.ContentLength, head.text)
	}
}

func TestOptionsStar_GetsAProblem(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), nil)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprint(conn, "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != 404 || res.Header.Get("X-Frame-Options") != "DENY" {
		t.Errorf("OPTIONS *: %d", res.StatusCode)
	}
}

func TestHost_UnknownIsMisdirected(t *testing.T) {
	t.Parallel()
	config := testConfig()
	config.CheckHost = true
	config.Hosts = []string{"api.example.com"}
	s := start(t, config, func(s *api.Surface) {
		api.AddHealth(s, func(context.Context) api.Health { return api.Health{Status: api.Ready} }, false)
	})
	for _, host := range []string{"id.example.com", "ID.example.com:3001", "api.example.com"} {
		s.do(t, "GET", "/things/mine", "", "Host", host).wants(t, 401, "token_invalid")
	}
	for _, host := range []string{"evil.example", "id.example.com.evil.example", "127.0.0.1"} {
		s.do(t, "GET", "/things/mine", "", "Host", host).wants(t, 421, "misdirected_request")
		s.do(t, "GET", "/nothing", "", "Host", host).wants(t, 421, "misdirected_request")
	}
	if r := s.do(t, "GET", "/health/live", "", "Host", "10.1.2.3:3001"); r.StatusCode != 200 {
		t.Errorf("probe by address: %d", r.StatusCode)
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), nil)
	s.do(t, "GET", "/things?q="+strings.Repeat("a", 4<<10), "").wants(t, 414, "uri_too_long")
	s.do(t, "GET", "/things", "", "X-Big", strings.Repeat("a", 33<<10)).wants(t, 431, "headers_too_large")
	big := `{"name":"` + strings.Repeat("a", 64<<10) + `"}`
	s.do(t, "POST", "/things", big, "Authorization", "Bearer reader").wants(t, 413, "payload_too_large")

	// A body of unknown length is counted while it is read.
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/things", io.MultiReader(strings.NewReader(big)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer reader")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != 413 {
		t.Errorf("chunked body: %d", res.StatusCode)
	}
}

func TestMediaTypes(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), nil)
	for _, ct := range []string{"text/plain", "application/x-www-form-urlencoded", "application/merge-patch+json", "application/json; charset=latin1", "application/json; x=y", "", "application/json, text/plain"} {
		s.do(t, "POST", "/things", `{"name":"a"}`, "Authorization", "Bearer reader", "Content-Type", ct).wants(t, 415, "unsupported_media_type")
	}
	s.do(t, "POST", "/things", `{"name":"a"}`, "Authorization", "Bearer reader", "Content-Encoding", "gzip").wants(t, 415, "unsupported_media_type")
	for _, ct := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"} {
		if r := s.do(t, "POST", "/things", `{"name":"a"}`, "Authorization", "Bearer reader", "Content-Type", ct); r.StatusCode != 201 {
			t.Errorf("%q: %d", ct, r.StatusCode)
		}
	}
	s.do(t, "PATCH", "/things/"+s.ada.String(), `{}`, "Authorization", "Bearer reader").wants(t, 415, "unsupported_media_type")
}

func TestCORS(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), nil)
	for _, origin := range []string{"https://app.example.com", "https://id.example.com"} {
		r := s.do(t, "GET", "/things/mine", "", "Origin", origin)
		if r.Header.Get("Access-Control-Allow-Origin") != origin || r.Header.Get("Access-Control-Allow-Credentials") != "true" || !strings.Contains(r.Header.Get("Access-Control-Expose-Headers"), "ETag") {
			t.Errorf("%s may not read: %v", origin, r.Header)
		}
		r = s.do(t, "OPTIONS", "/things", "", "Origin", origin, "Access-Control-Request-Method", "POST")
		if r.StatusCode != 204 || r.Header.Get("Access-Control-Allow-Methods") != "GET, HEAD, OPTIONS, POST" ||
			!strings.Contains(r.Header.Get("Access-Control-Allow-Headers"), "X-CSRF-Token") || !strings.Contains(r.Header.Get("Vary"), "Origin") {
			t.Errorf("preflight of %s: %d %v", origin, r.StatusCode, r.Header)
		}
	}
	for _, origin := range []string{"null", "*", "http://app.example.com", "https://app.example.com:8443", "https://app.example.com.evil.example", "https://APP.example.com"} {
		for _, method := range []string{"GET", "OPTIONS"} {
			r := s.do(t, method, "/things", "", "Origin", origin, "Access-Control-Request-Method", "POST")
			for name := range r.Header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s %s: %s is sent", method, origin, name)
				}
			}
		}
	}
}

func TestRequestID_OnlyFromTrustedProxies(t *testing.T) {
	t.Parallel()
	trusting := testConfig()
	trusting.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for _, c := range []struct {
		config api.Config
		sent   string
		taken  bool
	}{
		{testConfig(), "proxy-request-1", false},
		{trusting, "proxy-request-1", true},
		{trusting, "short", false},
		{trusting, "with space in it", false},
		{trusting, strings.Repeat("a", 65), false},
	} {
		got := start(t, c.config, nil).do(t, "GET", "/things", "", "X-Request-Id", c.sent).Header.Get("X-Request-Id")
		if (got == c.sent) != c.taken || got == "" {
			t.Errorf("sent %q, trusted %v: got %q", c.sent, len(c.config.TrustedProxies) > 0, got)
		}
	}
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	trusting := testConfig()
	trusting.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		name    string
		config  api.Config
		headers []string
		want    string
	}{
		{"no proxy is trusted", testConfig(), []string{"X-Forwarded-For", "203.0.113.9"}, "127.0.0.1"},
		{"one hop", trusting, []string{"X-Forwarded-For", "203.0.113.9"}, "203.0.113.9"},
		{"right-most untrusted", trusting, []string{"X-Forwarded-For", "198.51.100.1, 203.0.113.9, 10.0.0.7"}, "203.0.113.9"},
		{"over several headers", trusting, []string{"X-Forwarded-For", "198.51.100.1, 203.0.113.9", "X-Forwarded-For", "10.0.0.7"}, "203.0.113.9"},
		{"all trusted", trusting, []string{"X-Forwarded-For", "10.0.0.1, 10.0.0.2"}, "10.0.0.1"},
		{"garbage ends the walk", trusting, []string{"X-Forwarded-For", "203.0.113.9, evil, 10.0.0.7"}, "10.0.0.7"},
		{"mapped form", trusting, []string{"X-Forwarded-For", "::ffff:203.0.113.9"}, "203.0.113.9"},
		{"with a port", trusting, []string{"X-Forwarded-For", "[2001:db8::1]:4711"}, "2001:db8::1"},
		{"other headers", trusting, []string{"X-Real-Ip", "203.0.113.9", "Forwarded", "for=203.0.113.9", "X_Forwarded_For", "203.0.113.9"}, "127.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, c.config, nil)
			s.do(t, "POST", "/login", `{"password":"x"}`, c.headers...)
			if want := throttle.ByIP(netip.MustParseAddr(c.want), "/login"); s.keys[0] != want {
				t.Errorf("counted for %v, want %v", s.keys[0], want)
			}
		})
	}
}

func TestPanic_IsA500AndTheProcessLives(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), func(s *api.Surface) {
		api.Register(s, api.Route{Method: "GET", Path: "/panic", Access: api.Public()},
			func(context.Context, actor.Actor, *api.None) (*api.None, error) { panic("hunter2") })
	})
	for range 2 {
		r := s.do(t, "GET", "/panic", "")
		r.wants(t, 500, "internal_error")
		if strings.Contains(r.text+s.logged(), "hunter2") {
			t.Error("the text of the panic got out")
		}
		if !strings.Contains(s.logged(), r.Header.Get("X-Request-Id")) {
			t.Error("the panic was not logged with its request id")
		}
	}
}

func TestAccessLog_NamesTemplatesAndPseudonyms(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), nil)
	s.do(t, "GET", "/things/"+s.ada.String(), "", "Authorization", "Bearer reader", "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	log := waitFor(t, s, `"msg":"request"`)
	for _, want := range []string{`"route":"/things/{id}"`, `"status":200`, `"user":"p-1234"`, `"ip":"127.0.0.0/24"`, `"service":"sample"`} {
		if !strings.Contains(log, want) {
			t.Errorf("log lacks %s: %s", want, log)
		}
	}
	if strings.Contains(log, s.ada.String()) || strings.Contains(log, "127.0.0.1") {
		t.Errorf("log names the person or the address: %s", log)
	}
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
		if strings.Contains(f.String(), s.ada.String()) {
			t.Errorf("%s has a raw path as a label", f.GetName())
		}
	}
	if !slices.Contains(names, "gatehouse_http_requests_total") || !slices.Contains(names, "gatehouse_http_request_duration_seconds") {
		t.Errorf("metrics: %v", names)
	}
}

func TestTraceparent_ReachesTheHandler(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(), func(s *api.Surface) {
		api.Register(s, api.Route{Method: "GET", Path: "/trace", Access: api.Public()},
			func(ctx context.Context, _ actor.Actor, _ *api.None) (*echo, error) {
				return &echo{Body: map[string]any{"trace": trace.SpanContextFromContext(ctx).TraceID().String()}}, nil
			})
	})
	const id = "0af7651916cd43dd8448eb211c80319c"
	if r := s.do(t, "GET", "/trace", "", "Traceparent", "00-"+id+"-b7ad6b7169203331-01"); r.json["trace"] != id {
		t.Errorf("trace: %s", r.text)
	}
	if r := s.do(t, "GET", "/trace", "", "Traceparent", "garbage"); r.StatusCode != 200 || r.json["trace"] == id {
		t.Errorf("garbage: %s", r.text)
	}
}

func TestClientThatLeaves_IsNoFailure(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	s := start(t, testConfig(), func(s *api.Surface) {
		api.Register(s, api.Route{Method: "GET", Path: "/wait", Access: api.Public()},
			func(ctx context.Context, _ actor.Actor, _ *api.None) (*api.None, error) {
				close(entered)
				<-ctx.Done()
				return nil, fmt.Errorf("query: %w", ctx.Err())
			})
	})
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-entered
		leave()
	}()
	req, _ := http.NewRequestWithContext(ctx, "GET", s.url+"/wait", nil)
	if res, err := http.DefaultClient.Do(req); err == nil {
		_ = res.Body.Close()
		t.Error("the request was answered")
	}
	if log := waitFor(t, s, `"status":499`); strings.Contains(log, "request failed") {
		t.Errorf("logged as a failure: %s", log)
	}
}

// waitFor returns the log once it holds want: the line is written after the
// reply.
func waitFor(tb testing.TB, s *server, want string) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 5*time.Second)
	defer cancel()
	for tick := time.NewTicker(time.Millisecond); ; {
		if log := s.logged(); strings.Contains(log, want) {
			return log
		}
		select {
		case <-ctx.Done():
			tb.Fatalf("log never held %s: %s", want, s.logged())
		case <-tick.C:
		}
	}
}

func TestServe_DrainsRunningRequests(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	s := api.New("drain", newGate().deps(), testConfig())
	api.Register(s, api.Route{Method: "GET", Path: "/slow", Access: api.Public()},
		func(context.Context, actor.Actor, *api.None) (*api.None, error) {
			close(entered)
			<-release
			return nil, nil
		})
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- api.Serve(ctx, api.NewServer(s, newGate().deps().Logger), l, 0, 5*time.Second) }()
	status := make(chan int, 1)
	go func() {
		req, _ := http.NewRequestWithContext(context.WithoutCancel(t.Context()), "GET", "http://"+l.Addr().String()+"/slow", nil)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			status <- 0
			return
		}
		_ = res.Body.Close()
		status <- res.StatusCode
	}()
	<-entered
	stop()
	close(release)
	if got := <-status; got != 204 {
		t.Errorf("running request: %d", got)
	}
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics is the set of numbers that a program shows. Numbers that exist
// anyway are read when someone asks for them, so they cost nothing otherwise.
// Its methods panic on a name that is not valid or already taken.
type Metrics struct {
	namespace string
	registry  *prometheus.Registry
}

// NewMetrics returns a set with the numbers of the Go runtime, the process and
// the build. Every further name begins with namespace.
func NewMetrics(namespace, version string) *Metrics {
	m := &Metrics{namespace: namespace, registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "build_info", Help: "Always 1; the label tells the version.",
			ConstLabels: prometheus.Labels{"version": version},
		}, func() float64 { return 1 }),
	)
	return m
}

// Registry returns the registry itself: to gather it, or to register metrics
// that this package has no word for.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Gauge adds a number that goes up and down. Read is called at each scrape,
// from any goroutine, and must not block.
func (m *Metrics) Gauge(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: m.namespace, Name: name, Help: help}, read))
}

// Counter adds a number that only goes up, whose name ends in _total. Read is
// called as that of Gauge.
func (m *Metrics) Counter(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: m.namespace, Name: name, Help: help}, read))
}

// Outcomes counts events by one label with a closed list of values, so that
// nobody outside can make series. It is safe for concurrent use.
type Outcomes struct {
	counters map[string]prometheus.Counter
	other    prometheus.Counter
}

// Outcomes adds a counter, whose name ends in _total, with every value at zero.
func (m *Metrics) Outcomes(name, help, label string, values ...string) *Outcomes {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: m.namespace, Name: name, Help: help}, []string{label})
	m.registry.MustRegister(vec)
	o := &Outcomes{counters: map[string]prometheus.Counter{}, other: vec.WithLabelValues("other")}
	for _, v := range values {
		o.counters[v] = vec.WithLabelValues(v)
	}
	return o
}

// Add counts one event. A value that is not on the list counts as "other".
func (o *Outcomes) Add(value string) {
	if c, ok := o.counters[value]; ok {
		c.Inc()
		return
	}
	o.other.Inc()
}

// Spans counts and times one kind of work. It is safe for concurrent use.
type Spans struct{ seconds prometheus.Histogram }

// Spans adds a histogram, whose name ends in _seconds. Buckets are upper
// bounds, in order.
func (m *Metrics) Spans(name, help string, buckets ...time.Duration) *Spans {
	bounds := make([]float64, len(buckets))
	for i, b := range buckets {
		bounds[i] = b.Seconds()
	}
	s := &Spans{seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: m.namespace, Name: name, Help: help, Buckets: bounds})}
	m.registry.MustRegister(s.seconds)
	return s
}

// Observe counts one piece of work that took d.
func (s *Spans) Observe(d time.Duration) { s.seconds.Observe(d.Seconds()) }

// PoolStats is what a pool of database connections tells.
type PoolStats struct {
	InUse, Idle, Max int
	Waits            int64 // for a connection, so far
}

// Pool adds the numbers of a pool of database connections.
func (m *Metrics) Pool(read func() PoolStats) {
	m.group(func() []float64 {
		s := read()
		return []float64{float64(s.InUse), float64(s.Idle), float64(s.Max), float64(s.Waits)}
	}, nil,
		number{"database_connections_in_use", "Connections to the database that work.", prometheus.GaugeValue},
		number{"database_connections_idle", "Connections to the database that wait for work.", prometheus.GaugeValue},
		number{"database_connections_max", "Bound of the pool.", prometheus.GaugeValue},
		number{"database_connection_waits_total", "Times that work waited for a connection.", prometheus.CounterValue})
}

// CacheStats is what a cache tells.
type CacheStats struct {
	Hits, Misses uint64 // so far
	Up           bool
}

// Cache adds the numbers of the cache of that name.
func (m *Metrics) Cache(name string, read func() CacheStats) {
	m.group(func() []float64 {
		s := read()
		up := 0.0
		if s.Up {
			up = 1
		}
		return []float64{float64(s.Hits), float64(s.Misses), up}
	}, prometheus.Labels{"cache": name},
		number{"cache_hits_total", "Look-ups that found an entry.", prometheus.CounterValue},
		number{"cache_misses_total", "Look-ups that found none.", prometheus.CounterValue},
		number{"cache_up", "Whether the cache answers: 1 or 0.", prometheus.GaugeValue})
}

// number is one of several that are read together.
type number struct {
	name, help string
	kind       prometheus.ValueType
}

// group reads several numbers at once, so that they belong to one instant.
type group struct {
	read  func() []float64
	descs []*prometheus.Desc
	kinds []prometheus.ValueType
}

func (m *Metrics) group(read func() []float64, labels prometheus.Labels, numbers ...number) {
	g := &group{read: read}
	for _, n := range numbers {
		g.descs = append(g.descs, prometheus.NewDesc(prometheus.BuildFQName(m.namespace, "", n.name), n.help, nil, labels))
		g.kinds = append(g.kinds, n.kind)
	}
	m.registry.MustRegister(g)
}

// Describe names the numbers.
func (g *group) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range g.descs {
		ch <- d
	}
}

// Collect reads the numbers.
func (g *group) Collect(ch chan<- prometheus.Metric) {
	for i, v := range g.read() {
		ch <- prometheus.MustNewConstMetric(g.descs[i], g.kinds[i], v)
	}
}

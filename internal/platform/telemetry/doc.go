// Package telemetry lets a program be seen from outside: log lines, metrics
// and traces.
//
// Nothing here is global: a program makes one logger, one set of metrics and
// one tracer, and hands them on. A sink that fails or stalls never stops the
// program; what is lost is counted. Log lines hold no secret that is known by
// its type or its name, and no full address of a person (AUD-4, PRV-4).
package telemetry

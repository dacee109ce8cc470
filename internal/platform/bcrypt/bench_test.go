package bcrypt_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	library "golang.org/x/crypto/bcrypt"

	"gatehouse/internal/platform/bcrypt"
)

const benchCost = 12

func BenchmarkLibrary(b *testing.B) {
	for b.Loop() {
		if _, err := library.GenerateFromPassword([]byte("password"), benchCost); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSum(b *testing.B) {
	for lanes := 1; lanes <= bcrypt.Lanes; lanes++ {
		b.Run(fmt.Sprintf("lanes=%d", lanes), func(b *testing.B) {
			inputs := make([]bcrypt.Input, lanes)
			for b.Loop() {
				if _, err := bcrypt.Sum(benchCost, inputs...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(lanes*b.N)/b.Elapsed().Seconds(), "hashes/s")
		})
	}
}

// BenchmarkPool keeps 32 passwords in flight.
func BenchmarkPool(b *testing.B) {
	p := bcrypt.NewPool(bcrypt.Config{MaxWait: time.Hour})
	var wg sync.WaitGroup
	todo := make(chan struct{})
	start := time.Now()
	for range 32 {
		wg.Go(func() {
			for range todo {
				if _, err := p.Hash(b.Context(), benchCost, []byte("password")); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for b.Loop() {
		todo <- struct{}{}
	}
	close(todo)
	wg.Wait()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "hashes/s") // with those still in flight at the end
}

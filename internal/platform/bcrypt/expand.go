package bcrypt

// The three functions below are Blowfish's key expansion for one, two and
// three tables. Each round of a block waits for the round before it, a chain
// of table reads that leaves most of a processor's units idle; rounds of
// independent tables fill them. The lanes are therefore written side by side
// in local variables, which the compiler keeps in registers, and not in a loop.
//
// A table belongs to one goroutine, so the race detector has nothing to watch
// here; watching would make every test that signs in many times slower.

//go:norace
func expand1(a *table, ka *schedule) {
	a.mix(ka)
	var al, ar uint32
	for n := 0; n < tableSize; n += 2 {
		al ^= a[0]
		for i := 1; i < subkeys-1; i += 2 {
			ar ^= f(a, al) ^ a[i]
			al ^= f(a, ar) ^ a[i+1]
		}
		al, ar = ar^a[subkeys-1], al
		a[n], a[n+1] = al, ar
	}
}

//go:norace
func expand2(a, b *table, ka, kb *schedule) {
	a.mix(ka)
	b.mix(kb)
	var al, ar, bl, br uint32
	for n := 0; n < tableSize; n += 2 {
		al ^= a[0]
		bl ^= b[0]
		for i := 1; i < subkeys-1; i += 2 {
			ar ^= f(a, al) ^ a[i]
			br ^= f(b, bl) ^ b[i]
			al ^= f(a, ar) ^ a[i+1]
			bl ^= f(b, br) ^ b[i+1]
		}
		al, ar = ar^a[subkeys-1], al
		bl, br = br^b[subkeys-1], bl
		a[n], a[n+1] = al, ar
		b[n], b[n+1] = bl, br
	}
}

//go:norace
func expand3(a, b, c *table, ka, kb, kc *schedule) {
	a.mix(ka)
	b.mix(kb)
	c.mix(kc)
	var al, ar, bl, br, cl, cr uint32
	for n := 0; n < tableSize; n += 2 {
		al ^= a[0]
		bl ^= b[0]
		cl ^= c[0]
		for i := 1; i < subkeys-1; i += 2 {
			ar ^= f(a, al) ^ a[i]
			br ^= f(b, bl) ^ b[i]
			cr ^= f(c, cl) ^ c[i]
			al ^= f(a, ar) ^ a[i+1]
			bl ^= f(b, br) ^ b[i+1]
			cl ^= f(c, cr) ^ c[i+1]
		}
		al, ar = ar^a[subkeys-1], al
		bl, br = br^b[subkeys-1], bl
		cl, cr = cr^c[subkeys-1], cl
		a[n], a[n+1] = al, ar
		b[n], b[n+1] = bl, br
		c[n], c[n+1] = cl, cr
	}
}

package bcrypt

import "encoding/binary"

//go:generate go run ./gen

const (
	subkeys   = 18
	sbox      = 256
	tableSize = subkeys + 4*sbox

	// Where each S-box begins in a table.
	s0 = subkeys
	s1 = s0 + sbox
	s2 = s1 + sbox
	s3 = s2 + sbox
)

// table is the state of one Blowfish cipher: 18 subkeys and four S-boxes of
// 256 words, in the order in which the key schedule replaces them. Being one
// array, it is replaced in one loop, and every index below is provably inside.
type table [tableSize]uint32

// schedule is key material repeated to the length of the subkeys. bcrypt mixes
// the same password and salt in thousands of times, so it is unrolled once.
type schedule [subkeys]uint32

func newSchedule(key []byte) (s schedule) {
	for i, j := 0, 0; i < 4*subkeys; i++ {
		s[i/4] = s[i/4]<<8 | uint32(key[j])
		if j++; j == len(key) {
			j = 0
		}
	}
	return s
}

// f is Blowfish's round function. The compiler inlines it.
func f(t *table, x uint32) uint32 {
	return ((t[s0+int(byte(x>>24))] + t[s1+int(byte(x>>16))]) ^ t[s2+int(byte(x>>8))]) + t[s3+int(byte(x))]
}

// newTable returns the table after the first, salted expansion of key.
func newTable(key, salt *schedule) *table {
	t := new(table)
	for i := range t {
		t[i] = binary.BigEndian.Uint32([]byte(piDigits[4*i : 4*i+4]))
	}
	t.mix(key)
	var l, r uint32
	for i := 0; i < tableSize; i += 2 {
		// The salt has four words and is read around without a break.
		l, r = t.encrypt(l^salt[i%4], r^salt[i%4+1])
		t[i], t[i+1] = l, r
	}
	return t
}

func (t *table) mix(key *schedule) {
	for i, w := range key {
		t[i] ^= w
	}
}

// encrypt returns one block encrypted. It serves the few blocks outside the
// loops of expand1, expand2 and expand3.
func (t *table) encrypt(l, r uint32) (uint32, uint32) {
	l ^= t[0]
	for i := 1; i < subkeys-1; i += 2 {
		r ^= f(t, l) ^ t[i]
		l ^= f(t, r) ^ t[i+1]
	}
	return r ^ t[subkeys-1], l
}

// Package audit owns the log of every change and every attempt to sign in.
//
// An entry is written in the transaction of the change it tells of, so there
// is no change without an entry and no entry without a change. What it says of
// a person (address, agent, before and after) is sealed with that person's
// data key: destroying the key leaves an entry that is whole, verifiable and
// silent about them.
//
// An entry's envelope is its canonical bytes (see Envelope). A sealer, one at
// a time over all nodes, gives committed entries a gapless position and hashes
// the envelope to the entry before; once a minute it signs the head of that
// chain. Verify proves the whole: each envelope against its hash, each hash
// against the chain, the chain against the signatures, and the columns that
// queries use against the envelope. It needs nothing secret.
package audit

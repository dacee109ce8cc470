// Package keyring owns every key of Gatehouse: the keys that sign, the
// symmetric keys, one for each purpose, and the data keys of people.
//
// Every secret half lies in the database sealed with AES-256-GCM under the
// master key, bound to its table, column and row. The first master key of the
// configuration seals, all of them open, so that a master key is replaced by
// putting the new one in front, rewrapping, and taking the old one away. A
// node that lacks a master key which the database still needs does not start.
//
// Each purpose has exactly one active key, which signs or seals. A next key is
// known to every node, and published where it signs, before it becomes active;
// a retired key still verifies or opens for as long as anything made with it
// may live, and is destroyed then. The private half of a signing key is
// destroyed as soon as it retires. So rotation fails no request. A withdrawn
// key verifies nothing, on any node, within maxAge.
//
// Every node works from an immutable snapshot in memory, which Run keeps
// fresh. A change is planned outside a transaction, because making a key takes
// time, and applied inside the caller's, which also appends to the log; of two
// nodes that plan the same change one gets ErrChanged.
package keyring

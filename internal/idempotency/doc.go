// Package idempotency lets a client repeat a creating request without creating
// twice. It owns the table idempotency_keys.
//
// Invariants:
//   - A key belongs to one signed-in person and one operation: nobody sees the
//     answer that another person got.
//   - Claiming the key is the first statement of the transaction that makes
//     the change, and the answer is stored in it: either all three are
//     durable or none is. Parallel repeats wait for the first at the primary
//     key and then answer as it did.
//   - What the request said is kept only as a keyed MAC, since it may hold a
//     password; the answer is sealed and bound to its row.
//   - A key counts for 24 hours. A failed request leaves none.
package idempotency

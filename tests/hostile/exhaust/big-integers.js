// Keeps long integers, whose digits the heap holds.
// expect: fails HeapLimitExceeded
const kept = []; let n = 2n ** 60000n; for (;;) { kept.push(n); n += 1n; }

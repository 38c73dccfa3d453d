// Fills the heap with small objects.
// expect: fails HeapLimitExceeded
const kept = []; for (;;) kept.push({ a: kept.length });

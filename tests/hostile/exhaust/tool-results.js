// Keeps the answers of tools until the heap is full.
// expect: fails HeapLimitExceeded
const kept = []; for (;;) kept.push([...(await tools.big(100000))]);

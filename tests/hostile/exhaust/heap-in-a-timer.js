// Fills the heap from a timer.
// expect: fails HeapLimitExceeded
setTimeout(() => { const kept = []; for (;;) kept.push({}); }); await tools.never();

// Fills the heap in the getter of an error that nobody catches.
// expect: fails HeapLimitExceeded
throw Object.defineProperty(new Error('e'), 'message', { get() { const kept = []; for (;;) kept.push([kept.length]); } });

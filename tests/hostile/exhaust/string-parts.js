// Takes one long string apart into an array, again and again.
// expect: fails HeapLimitExceeded
const kept = []; const s = 'x'.repeat(1e6); for (;;) kept.push([...s]);

// Fills the heap with strings that share nothing.
// expect: fails HeapLimitExceeded
const kept = []; for (let i = 0; ; i++) kept.push(String(i).padEnd(1000, i));

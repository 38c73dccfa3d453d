// Fills the heap with arrays of numbers, from a loop that V8's optimising compiler unrolls.
// expect: fails HeapLimitExceeded
const kept = []; while (true) kept.push(new Array(1000).fill(1.5));

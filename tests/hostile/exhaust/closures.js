// Fills the heap with closures that hold on to each other.
// expect: fails HeapLimitExceeded
let last = () => 0; for (let i = 0; ; i++) { const before = last; last = () => before() + i; }

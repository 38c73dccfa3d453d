// Makes a string longer than any may be.
// expect: fails HeapLimitExceeded
let s = 'x'; for (;;) s += s;

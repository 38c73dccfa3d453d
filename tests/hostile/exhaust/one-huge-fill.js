// Has one built-in take many times the heap at once.
// expect: fails HeapLimitExceeded
Array(1e7).fill(1.1); for (;;);

// Has one built-in make more than the heap holds, without a line of its own in between.
// expect: fails HeapLimitExceeded
Array.from({ length: 5e6 }, (_, i) => ({ i })); for (;;);

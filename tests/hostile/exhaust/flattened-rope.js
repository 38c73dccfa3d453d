// Has a rope of three times the heap made flat.
// expect: fails HeapLimitExceeded
const rope = 'x'.repeat(1e8) + 'y'; rope.indexOf('z'); for (;;);

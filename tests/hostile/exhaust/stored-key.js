// Stores under a key of half a gigabyte.
// expect: fails TypeError: store key must be
store('x'.repeat(5e8), 1);

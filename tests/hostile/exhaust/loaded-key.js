// Loads from under a key of half a gigabyte.
// expect: fails TypeError: load key must be
load('x'.repeat(5e8));

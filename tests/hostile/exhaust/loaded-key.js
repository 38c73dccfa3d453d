// Loads from under a key of half a gigabyte.
// expect: fails StoredValuesLimitExceeded
load('x'.repeat(5e8));

// Stores under a key of half a gigabyte.
// expect: fails StoredValuesLimitExceeded: store key must be
store('x'.repeat(5e8), 1);

// Stores more than it may.
// limits: storedBytes=10000
// expect: fails StoredValuesLimitExceeded
for (let i = 0; ; i++) store('k' + i, 'x'.repeat(1000));

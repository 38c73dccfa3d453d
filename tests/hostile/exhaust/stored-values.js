// Stores under more keys than it may.
// limits: storedValues=10
// expect: fails StoredValuesLimitExceeded
for (let i = 0; ; i++) store('k' + i, 0);

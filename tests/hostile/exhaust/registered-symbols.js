// Fills the table of registered symbols, which all cells of an isolate share.
// limits: heap=8MiB
// expect: fails HeapLimitExceeded
for (let i = 0; ; i++) Symbol.for('k' + i);

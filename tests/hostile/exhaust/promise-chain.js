// Chains promises that cannot settle, each to the one before.
// expect: fails HeapLimitExceeded
let p = tools.never(); for (;;) p = p.then((x) => x).finally(() => 1);

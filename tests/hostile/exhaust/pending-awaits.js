// Leaves endlessly many async functions waiting for one promise.
// expect: fails HeapLimitExceeded
const never = tools.never(); for (;;) (async () => { await never; })();

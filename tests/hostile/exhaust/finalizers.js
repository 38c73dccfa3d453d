// Registers finalizers without end.
// limits: heap=8MiB
// expect: fails HeapLimitExceeded
const registry = new FinalizationRegistry(() => {}); const token = {}; for (let i = 0; ; i++) registry.register({}, i, token);

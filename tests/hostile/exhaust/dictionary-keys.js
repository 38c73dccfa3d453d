// Gives one object endlessly many properties by definitions.
// limits: heap=8MiB
// expect: fails HeapLimitExceeded
const o = {}; for (let i = 0; ; i++) Object.defineProperty(o, 'k' + i, { get: () => i, configurable: true });

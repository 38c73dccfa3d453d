// Computes for ever in what describes the error that ended it.
// limits: cpu=100ms
// expect: fails CpuLimitExceeded
throw Object.defineProperty(new Error('e'), 'stack', { get() { for (;;); } });

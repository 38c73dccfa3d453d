// Computes for ever within one regular expression.
// limits: cpu=100ms
// expect: fails CpuLimitExceeded
/^(a+)+$/.test('a'.repeat(50) + 'b');

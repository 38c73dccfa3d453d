// Keeps errors with thousands of frames each.
// limits: heap=8MiB
// expect: fails HeapLimitExceeded
Error.stackTraceLimit = Infinity; const kept = []; const dig = (n) => n ? dig(n - 1) : kept.push(new Error('e')); for (;;) dig(2000);

// Has each part of its last error hang once more, after the clock has struck.
// limits: wall=100ms
// expect: fails TimeLimitExceeded
const hang = { get() { for (;;); } };
throw Object.defineProperties(new Error('e'), { name: hang, message: hang, stack: hang, cause: hang });

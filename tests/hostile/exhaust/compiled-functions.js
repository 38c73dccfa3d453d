// Compiles a new function each time, and keeps its code.
// limits: heap=8MiB
// expect: fails HeapLimitExceeded
const kept = []; for (let i = 0; ; i++) { const f = Function('x', `return x + ${i}`); f(i); kept.push(f); }

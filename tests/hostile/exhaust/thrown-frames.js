// Throws from deep within functions whose names fill a page each.
// expect: fails Error: e
const f = { f: (n) => n ? f(n - 1) : new Error('e') }.f;
Object.defineProperty(f, 'name', { value: 'n'.repeat(4000) }); Error.stackTraceLimit = 1e6;
throw f(3000);

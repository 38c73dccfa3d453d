// Reads the stack of an error from functions with names of a megabyte.
// expect: completes
// shows: held
const f = { f: (n) => n ? g(n - 1) : new Error('x') }.f; const g = f;
Object.defineProperty(f, 'name', { value: 'n'.repeat(1e6) }); Error.stackTraceLimit = 300;
text(f(400).stack.length < 1e6 ? 'held' : 'long');

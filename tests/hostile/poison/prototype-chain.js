// Puts a proxy behind the global object, to be asked for every name that is missing.
// expect: completes
// shows: undefined
// shows: held
const asked = [];
Object.setPrototypeOf(globalThis, new Proxy({}, { get(_, key) { asked.push(String(key)); }, has(_, key) { asked.push(String(key)); return false; } }));
text(typeof missing);
await tools.echo(1); store('k', 1); new Error('e').stack;
text(asked.filter((key) => key !== 'missing').length === 0 ? 'held' : asked);

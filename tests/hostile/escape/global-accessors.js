// Puts accessors where our own code would look for its tools, if it did.
// expect: completes
// shows: anything
const asked = [];
for (const name of ['Reflect', 'JSON', 'Promise', 'Array', 'Map', 'Set', 'Proxy', 'TypeError', 'String', 'Uint8Array', 'WeakMap', 'Object', 'Date', 'RegExp', 'Symbol']) {
  const value = globalThis[name];
  Object.defineProperty(globalThis, name, { configurable: true, get() { asked.push(name); return value; } });
}
text(new globalThis.Map([[1, 2]])); asked.length = 0;
await tools.echo({ a: 1n }); store('k', [1]); load('k');
for await (const _ of as_settled([1])) ;
await stream_settled([1], () => {});
try { image(1); } catch {}
text(asked.length ? asked : 'held');

// Calls the accessor behind `stack` on things that have none.
// expect: completes
// shows: held
const { get, set } = Object.getOwnPropertyDescriptor(new Error('e'), 'stack');
const results = [];
for (const target of [globalThis, tools, tools.echo, Promise.resolve(), import.meta, new Proxy(new Error('p'), {}), Object.create(new Error('c')), 1, undefined]) {
  try { results.push(typeof get.call(target)); set.call(target, 'x'); } catch (e) { results.push(e.constructor === TypeError ? 'TypeError' : String(e)); }
}
text(results.every((r) => ['undefined', 'TypeError', 'string'].includes(r)) ? 'held' : results);

// Tries to put a proxy behind all objects.
// expect: completes
// shows: TypeError,set,set,set
const results = [];
for (const target of [Object.prototype, Array.prototype, Function.prototype, Promise.prototype]) {
  try { Object.setPrototypeOf(target, new Proxy({}, { get: () => 'forged' })); results.push('set'); } catch (e) { results.push(e.constructor.name); }
}
text(results.join());

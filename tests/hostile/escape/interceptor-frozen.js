// Freezes, seals and defines on an object with interceptors, where engines have asserted before.
// expect: completes
// shows: held
const results = [];
for (const act of [Object.freeze, Object.seal, Object.preventExtensions, (o) => Object.defineProperty(o, 'echo', { get() { return 1; } }), (o) => Object.defineProperty(o, 'fail', { value: 1, writable: false, configurable: false }), (o) => Object.defineProperties(o, Object.getOwnPropertyDescriptors(o)), (o) => delete o.later, (o) => Object.assign(o, o), (o) => Object.setPrototypeOf(o, o)]) {
  try { act(tools); results.push('done'); } catch (e) { results.push(e.constructor.name); }
}
text(results.every((r) => r === 'done' || r === 'TypeError') ? 'held' : results);

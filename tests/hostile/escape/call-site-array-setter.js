// Catches call sites as they are put into an array, by accessors on Array.prototype.
// expect: completes
// shows: held
const given = [];
for (let i = 0; i < 20; i++) {
  Object.defineProperty(Array.prototype, i, { configurable: true, get() { return undefined; }, set(v) { given.push !== 0 && (given['k' + i] = v); } });
}
const error = (function a() { return (function b() { return new Error('e'); })(); })();
error.stack;
for (let i = 0; i < 20; i++) delete Array.prototype[i];
text(Object.keys(given).length === 0 ? 'held' : Object.keys(given));

// Imports things that turn into names only when asked, and throw, loop back or change.
// expect: completes
// shows: held
const got = [];
let n = 0;
for (const name of [{ toString() { throw 1; } }, { toString() { return {}; }, valueOf() { return {}; } }, { [Symbol.toPrimitive]: () => `m${n++}` }, Symbol('s'), { toString() { import(this); return 'again'; } }, Object.create(null), 1n]) {
  try { got.push(await import(name)); } catch (e) { if (e !== 1 && e.constructor !== TypeError) got.push(e); }
}
text(got.length ? got.map(String) : 'held');

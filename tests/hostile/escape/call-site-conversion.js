// Catches call sites where they are turned into text: by a conversion found on Object.prototype.
// expect: completes
// shows: held
const given = [];
for (const key of [Symbol.toPrimitive, 'toString', 'valueOf', 'toJSON']) {
  Object.defineProperty(Object.prototype, key, { configurable: true, value() { given.push(this); return 'x'; } });
}
const error = new Error('e'); error.stack;
const site = given.find((o) => o !== null && typeof o === 'object' && typeof o.getThis === 'function');
for (const key of [Symbol.toPrimitive, 'toJSON']) delete Object.prototype[key];
text(site === undefined ? 'held' : 'a call site');

// Replaces what the prototype of call sites inherits, to be called with one as `this`.
// expect: completes
// shows: held
let met = false;
const proto = Object.prototype;
for (const name of ['getThis', 'getFunction', 'getFileName', 'getTypeName', 'constructor']) {
  Object.defineProperty(proto, name, { configurable: true, get() { met ||= typeof this?.getLineNumber === 'function'; return undefined; } });
}
new Error('e').stack;
text(met ? 'escaped' : 'held');

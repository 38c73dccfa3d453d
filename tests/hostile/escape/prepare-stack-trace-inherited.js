// Has the hook on the prototypes that a lookup of it would reach.
// expect: completes
// shows: held
let called = 0;
const hook = { configurable: true, get() { called++; return () => { called++; }; }, set() { called++; } };
for (const target of [Error, Object.prototype, Function.prototype, TypeError, Error.prototype]) Object.defineProperty(target, 'prepareStackTrace', hook);
try { null.x; } catch (e) { e.stack; }
new RangeError('r').stack;
text(called === 0 ? 'held' : called);

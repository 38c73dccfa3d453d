// Hangs what it wants to keep on symbols, which the cells of an isolate share.
// expect: completes
// shows: held
const key = Symbol.for('shared');
try { globalThis[key] = 1; Object(key).leak = 1; Symbol.prototype.leak = 1; key.leak = 1; } catch {}
text('held');
// next cell
// expect: completes
// shows: held
const key = Symbol.for('shared');
text(globalThis[key] === undefined && Object(key).leak === undefined ? 'held' : 'leaked');

// Clears timers that are not its own, and takes ids that are none.
// expect: completes
// shows: held
for (const id of [0, -1, 1.5, NaN, Infinity, 2 ** 32, 2 ** 53, '1', null, undefined, {}, [], true, { valueOf: () => 1 }]) clearTimeout(id);
for (const id of [1n, Symbol()]) { try { clearTimeout(id); } catch (e) { if (e.constructor !== TypeError) text(e); } }
await new Promise((done) => setTimeout(done, { valueOf: () => 1 }));
text('held');

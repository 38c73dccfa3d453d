// Replaces everything that could end it, then loops.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
globalThis.exit = globalThis.yield_control = () => {}; Promise.prototype.then = () => {}; Object.freeze(globalThis); for (;;) await 1;

// Spreads what has no end and keeps nothing of it.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
new Set({ [Symbol.iterator]: () => ({ next: () => ({ value: 1, done: false }) }) });

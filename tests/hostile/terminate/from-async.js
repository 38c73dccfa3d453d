// Makes an array of what never ends, in microtasks of the language's own.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
const endless = { then(done) { done(endless); } };
await Array.fromAsync({ length: 1, 0: endless }, (value) => value);

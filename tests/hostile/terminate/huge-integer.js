// Multiplies an integer until it takes minutes.
// isolation: process
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
let n = 3n; for (;;) n *= n;

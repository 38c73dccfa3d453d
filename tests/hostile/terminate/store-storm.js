// Stores one value over the other.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for (let n = 0; ; n++) store('k', n);

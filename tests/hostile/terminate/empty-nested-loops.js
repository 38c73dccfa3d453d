// Loops in loops that the optimising compiler finds empty.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for (;;) for (let i = 0; i < 1e9; i++) for (let j = 0; j < 1e9; j++);

// Has a finally break out of its end into the next round.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
out: for (;;) { try { for (;;); } finally { continue out; } }

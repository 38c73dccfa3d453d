// Is in the finally of a generator that a loop has left.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for (const _ of (function* () { try { yield 1; } finally { for (;;); } })()) break;

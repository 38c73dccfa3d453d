// Parses sources that are no programs.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for (;;) { try { (0, eval)('('.repeat(1000)); } catch {} }

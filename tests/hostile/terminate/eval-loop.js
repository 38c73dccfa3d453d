// Is in code that it has compiled.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
(0, eval)('for (;;);');

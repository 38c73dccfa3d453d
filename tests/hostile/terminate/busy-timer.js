// Is in a timer.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
setTimeout(() => { for (;;); }); await tools.never();

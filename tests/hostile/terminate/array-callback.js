// Is in the callback of a method of arrays.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
[1].reduce(() => { for (;;); }, 0);

// Is in the conversion of a key to store under.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
store({ toString() { for (;;); } }, 1);

// Is in the conversion of what was thrown, which is no error.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
throw { toJSON() { for (;;); } };

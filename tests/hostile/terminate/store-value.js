// Is in the conversion of a value to store.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
store('k', { toJSON() { for (;;); } });

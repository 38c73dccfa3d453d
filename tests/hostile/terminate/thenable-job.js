// Is in a thenable that an await has called.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
await { then() { for (;;); } };

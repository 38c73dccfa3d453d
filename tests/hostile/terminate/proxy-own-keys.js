// Is in a trap that a global has walked into.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
text(new Proxy({}, { ownKeys() { for (;;); } }));

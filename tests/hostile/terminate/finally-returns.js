// Has each finally return over the end of what it ends.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
const f = () => { try { for (;;); } finally { return f(); } }; f();

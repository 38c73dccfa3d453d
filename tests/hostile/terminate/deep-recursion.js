// Catches each overflow of its stack at every depth.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
const dig = () => { try { dig(); } catch { dig(); } finally { dig(); } }; dig();

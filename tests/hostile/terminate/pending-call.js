// Waits for a tool that does not answer.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
await tools.never();

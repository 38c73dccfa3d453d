// Waits in as_settled for what does not settle.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for await (const _ of as_settled([tools.never(), 1]));

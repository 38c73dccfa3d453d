// Sleeps.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
await new Promise((done) => setTimeout(done, 1e9));

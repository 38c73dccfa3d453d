// Waits for a hundred tools at once, of which none answers.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
await Promise.all(Array.from({ length: 100 }, () => tools.never()));

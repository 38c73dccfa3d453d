// Is in a thenable that as_settled waits for.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for await (const _ of as_settled([{ then() { for (;;); } }]));

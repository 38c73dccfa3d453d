// Is in an async generator that never lets go.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for await (const _ of (async function* () { for (;;) yield 1; })());

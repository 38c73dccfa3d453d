// Is in the finally of an async generator that a loop has left.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for await (const _ of (async function* () { try { yield 1; } finally { for (;;) await null; } })()) break;

// Is in a generator that a loop drives.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for (const _ of (function* () { for (;;) yield; })());

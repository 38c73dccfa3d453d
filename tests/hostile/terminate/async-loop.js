// Awaits what is settled, for ever.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for (;;) await null;

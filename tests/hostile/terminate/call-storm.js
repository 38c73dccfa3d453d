// Calls a tool again as soon as it has answered.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for (;;) await tools.echo(1);

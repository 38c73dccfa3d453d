// Is in a getter deep in a tool's argument.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
tools.echo({ a: [{ b: { get c() { for (;;); } } }] });

// Is in an accessor that it has put in a tool's place.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
Object.defineProperty(tools, 'echo', { get() { for (;;); } }); tools.echo(1);

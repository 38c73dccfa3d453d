// Is in a getter of an error that is a tool's argument.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
tools.echo({ e: Object.defineProperty(new Error('x'), 'message', { get() { for (;;); } }) });

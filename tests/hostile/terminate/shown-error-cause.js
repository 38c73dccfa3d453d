// Is in a getter of the cause of an error that is shown.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
text(Object.defineProperty(new Error('x'), 'cause', { get() { for (;;); } }));

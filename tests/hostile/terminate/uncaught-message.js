// Is in the message of an error that nobody caught.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
throw Object.defineProperty(new Error('x'), 'message', { get() { for (;;); } });

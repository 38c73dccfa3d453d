// Is in the message of what a promise was rejected with.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
await Promise.reject(Object.defineProperty(new Error('x'), 'message', { get() { for (;;); } }));

// Is in the name of an error that nobody caught, and then in its message, and then in its stack.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
const hang = { get() { for (;;); } };
throw Object.defineProperties(new Error('x'), { name: hang, message: hang, stack: hang });

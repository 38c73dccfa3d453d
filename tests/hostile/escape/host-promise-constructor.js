// Gets a Function of another realm through the promise that a tool call returns.
// expect: completes
// shows: held
const call = tools.echo(1);
const F = call.constructor.constructor;
text(call.constructor === Promise && F === Function && F('return globalThis')() === globalThis ? 'held' : 'escaped');
await call;

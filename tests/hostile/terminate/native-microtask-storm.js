// Never leaves the queue of microtasks, and never runs a line of its own there.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
const o = {}; o.then = Promise.resolve.bind(Promise, o); await o;

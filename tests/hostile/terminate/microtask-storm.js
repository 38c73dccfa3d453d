// Never leaves the queue of microtasks.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
const again = () => { Promise.resolve().then(again); }; again(); await tools.never();

// Is in a built-in over an object that says it has 2^53 elements.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
Array.prototype.forEach.call({ length: Number.MAX_SAFE_INTEGER }, () => {});

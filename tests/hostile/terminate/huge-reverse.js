// Turns round an object that says it has 2^53 elements.
// isolation: process
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
Array.prototype.reverse.call({ length: Number.MAX_SAFE_INTEGER });

// Searches an object that says it has 2^53 elements, in one built-in.
// isolation: process
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
Array.prototype.includes.call({ length: Number.MAX_SAFE_INTEGER }, 1);

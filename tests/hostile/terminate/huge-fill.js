// Fills 300 million elements in one built-in.
// isolation: process
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
new Array(3e8).fill(0);

// Turns an integer of millions of digits into text.
// isolation: process
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for (;;) (3n ** 20000000n).toString();

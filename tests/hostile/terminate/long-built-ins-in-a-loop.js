// Loops, with half a second of one built-in in each round: V8 looks for interruptions in such a loop every thousand rounds.
// isolation: process
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
const all = Array(12000).fill(Array(1000).fill('abcdefgh')); for (;;) JSON.stringify(all);

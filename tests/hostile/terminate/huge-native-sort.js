// Sorts numbers by the order of their texts, which needs none of its code.
// isolation: process
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for (;;) Array.from({ length: 3e6 }, (_, i) => i * 7919 % 3000017).sort();

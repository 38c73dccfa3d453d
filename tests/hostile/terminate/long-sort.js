// Sorts, with a comparison that costs next to nothing, what takes for ever.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for (;;) Array.from({ length: 1e5 }, (_, i) => i * 7919 % 100003).sort((a, b) => a - b);

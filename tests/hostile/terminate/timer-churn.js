// Sets and clears timers.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for (;;) clearTimeout(setTimeout(() => {}, 1e9));

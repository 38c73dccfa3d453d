// Keeps the collector busy.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for (let kept = []; ; kept = []) for (let i = 0; i < 1e4; i++) kept.push({ i });

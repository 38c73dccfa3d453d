// Compiles.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for (let i = 0; ; i++) Function(`return ${i % 100}`)();

// Formats dates in a language with a clock of its own.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for (let i = 0; ; i++) new Date(i).toLocaleString('th-u-ca-buddhist', { dateStyle: 'full' });

// Is within a match that remembers and compares.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
/^(.*?)(.*?)(.*?)\1\2\3x$/.test('ab'.repeat(20000));

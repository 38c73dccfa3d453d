// Is within one match of a regular expression.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
/^(a+)+$/.test('a'.repeat(50) + 'b');

// Is within one search, which tries each place of a long text anew.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
/a.*b.*c.*d.*e/s.test('a'.repeat(1e6));

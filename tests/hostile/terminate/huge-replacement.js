// Replaces in a text of 300 MB, in one built-in that looks for no interruption.
// isolation: process
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
'x'.repeat(3e8).replace(/x/g, 'yy');

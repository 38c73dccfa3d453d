// Is in the function that a replacement calls.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
'x'.replace(/x/, () => { for (;;); });

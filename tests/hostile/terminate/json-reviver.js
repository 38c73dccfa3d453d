// Is in the function that JSON.parse calls.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
JSON.parse('[1]', () => { for (;;); });

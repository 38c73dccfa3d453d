// Is in the function that JSON.stringify calls.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
JSON.stringify([1], () => { for (;;); });

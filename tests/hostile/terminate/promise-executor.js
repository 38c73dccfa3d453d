// Is in the function that a promise is made with.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
new Promise(() => { for (;;); });

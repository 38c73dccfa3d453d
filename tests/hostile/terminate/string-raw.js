// Is in a built-in over a template that it has made itself.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
String.raw({ raw: { length: 1, get 0() { for (;;); } } });

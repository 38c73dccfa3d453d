// Is in the conversion of an element of a list.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
[[[{ toString() { for (;;); } }]]].join();

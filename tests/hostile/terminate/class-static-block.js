// Is in the static block of a class.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
class C { static { for (;;); } }

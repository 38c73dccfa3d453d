// Is in a conversion that an addition makes.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
1 + { valueOf() { for (;;); } };

// Is in the comparison of a sort.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
[2, 1].sort(() => { for (;;); });

// Is in the comparison of a typed array's sort.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
new Float64Array([2, 1]).sort(() => { for (;;); });

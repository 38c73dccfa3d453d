// Is in a getter of the options of a format.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
new Intl.NumberFormat('de', { get style() { for (;;); } });

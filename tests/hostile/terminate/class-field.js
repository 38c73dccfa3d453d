// Is in the initialiser of a field.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
new (class { field = (() => { for (;;); })(); })();

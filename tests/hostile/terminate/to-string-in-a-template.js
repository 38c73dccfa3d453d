// Is in a conversion that a template makes.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
`${{ toString() { for (;;); } }}`;

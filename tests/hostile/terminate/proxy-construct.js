// Is in a trap that constructs.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
new (new Proxy(class {}, { construct() { for (;;); } }))();

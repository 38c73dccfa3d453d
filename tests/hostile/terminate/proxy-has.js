// Is in the trap of a scope.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
Function('p', 'with (p) { x; }')(new Proxy({}, { has() { for (;;); } }));

// Is in an accessor that `tools` inherits.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
Object.setPrototypeOf(tools, { get missing() { for (;;); } }); tools.missing;

// Is in the conversion of a tool's argument.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
tools.echo({ toJSON() { for (;;); } });

// Is in the conversion of a timer's id.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
clearTimeout({ valueOf() { for (;;); } });

// Is in the conversion of a part of a date.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
new Date(2000, { valueOf() { for (;;); } });

// Is in the conversion of a timer's delay.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
setTimeout(() => {}, { valueOf() { for (;;); } });

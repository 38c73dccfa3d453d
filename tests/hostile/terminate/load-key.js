// Is in the conversion of a key to load.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
load({ [Symbol.toPrimitive]() { for (;;); } });

// Turns a large value into text and back.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
const big = Array(1000).fill({ a: 1 }); for (;;) JSON.parse(JSON.stringify(big));

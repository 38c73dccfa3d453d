// Is in the callback of stream_settled.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
await stream_settled([1], () => { for (;;); });

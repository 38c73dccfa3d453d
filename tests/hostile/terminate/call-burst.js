// Calls without waiting, far more than may be open, and catches all refusals.
// limits: toolCalls=1000000000
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for (;;) tools.later(1).catch(() => {});

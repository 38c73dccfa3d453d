// Is in the getter of the name of a function that is shown.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
text({ f: Object.defineProperty(() => {}, 'name', { get() { for (;;); } }) });

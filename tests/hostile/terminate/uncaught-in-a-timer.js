// Is in the error of a timer that nobody caught.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
setTimeout(() => { throw { get toJSON() { for (;;); } }; }); await tools.never();

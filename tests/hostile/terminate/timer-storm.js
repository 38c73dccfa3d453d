// Sets a timer from each timer.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
const again = () => setTimeout(again); again(); await tools.never();

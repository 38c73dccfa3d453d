// Stops in a debugger that nobody has attached.
// expect: completes
// shows: held
debugger;
(0, eval)('debugger');
Function('debugger')();
text('held');

// Loops over a cheap built-in at the end of a function that is too long to be optimised.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
const f = Function('s', 'let a = 0; if (a) {' + 'a = a * 2 + 1;'.repeat(20000) + '} for (;;) s.indexOf("y");');
f('x'.repeat(1e5));

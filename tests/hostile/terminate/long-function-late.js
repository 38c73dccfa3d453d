// Loops over nothing but a built-in, at the end of a function that is too long to be optimised, and has run for a while: then V8
// looks for interruptions in it once in some fifty million rounds.
// isolation: process
// terminate: when it yields
// expect: terminated
// shows: go
const f = Function('s', 'go', 'let a = 0; if (a) {' + 'a = a * 2 + 1;'.repeat(20000) + '} for (let i = 0; ; i++) { s.indexOf("y"); if (i === 300000) go(); }');
f('x'.repeat(1e3), () => { text('go'); yield_control(); });

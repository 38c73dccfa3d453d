// Is in the method that closes an iterator.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
const [first] = { [Symbol.iterator]: () => ({ next: () => ({ value: 1, done: false }), return() { for (;;); } }) };

// Is in the getters that make the text of a stack.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
Object.defineProperty(new Error('x'), 'name', { get() { for (;;); } }).stack;

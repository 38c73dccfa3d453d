// Is in a getter of a block among others.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
content([{ type: 'text', text: 'x' }, { get type() { for (;;); } }]);

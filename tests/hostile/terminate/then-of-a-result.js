// Is in a getter that the answer of a tool has run into.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
Object.defineProperty(Object.prototype, 'then', { configurable: true, get() { for (;;); } }); await tools.echo({});

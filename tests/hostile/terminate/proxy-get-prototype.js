// Is in the trap with which our code looks what kind of object it has.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
tools.echo({ a: new Proxy({}, { getPrototypeOf() { for (;;); } }) });

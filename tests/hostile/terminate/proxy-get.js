// Is in a trap of a proxy.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
new Proxy({}, { get() { for (;;); } }).x;

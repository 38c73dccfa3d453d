// Is in a getter that a global has called.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
text({ get a() { for (;;); } });

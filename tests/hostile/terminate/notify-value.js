// Is in the conversion of a notification.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
notify({ toJSON() { for (;;); } });

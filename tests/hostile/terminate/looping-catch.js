// Goes on in a catch when it is ended.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for (;;) { try { for (;;); } catch { for (;;); } }

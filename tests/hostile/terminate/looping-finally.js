// Goes on in a finally when it is ended.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for (;;) { try { for (;;); } finally { for (;;); } }

// Imports what there is not, again and again.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for (;;) { try { await import('x'); } catch {} }

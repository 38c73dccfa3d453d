// Waits in a catch for a tool that was refused.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for (;;) { try { await tools.fail('no'); } catch { try { await tools.panic(); } catch {} } }

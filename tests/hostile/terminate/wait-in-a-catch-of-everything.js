// Catches everything, everywhere, and waits for the next.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for (;;) { try { await Promise.race([tools.never(), new Promise((_, no) => setTimeout(no, 1))]); } catch {} finally { try { await null; } finally { continue; } } }

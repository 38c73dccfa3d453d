// Catches what ends it for showing too much, and shows on.
// limits: outputItems=2
// expect: fails OutputLimitExceeded
// shows: a
// shows: c
for (;;) { try { text('a'); } catch { text('b'); } finally { text('c'); } }

// Catches each refusal to store, and tries all the harder.
// limits: storedBytes=1000
// expect: completes
// shows: held
let refused = 0;
for (let i = 0; i < 1000; i++) { try { store('k', 'x'.repeat(i * 10)); } catch { refused++; } }
text(refused > 800 && load('k').length < 1000 ? 'held' : refused);

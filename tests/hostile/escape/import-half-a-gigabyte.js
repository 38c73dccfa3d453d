// Imports a name so long that no error can be made of it: once, that ended the process.
// expect: completes
// shows: held
try { await import('x'.repeat(2 ** 29 - 24)); text('imported'); } catch (e) { text(e.message.length < 1000 ? 'held' : e.message.length); }

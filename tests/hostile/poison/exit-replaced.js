// Replaces what exit() could use to end the cell, and goes on in a finally.
// expect: completes
// shows: before
// shows: caught
// shows: finally
globalThis.exit = undefined;
text('before');
try { Reflect.apply(Object.getOwnPropertyDescriptor({ get x() { return 1; } }, 'x').get, 0, []); throw 1; } catch { text('caught'); } finally { text('finally'); }

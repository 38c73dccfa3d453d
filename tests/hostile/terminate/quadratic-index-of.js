// Searches a text for one that almost matches at every place.
// isolation: process
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
const s = 'a'.repeat(2e7); s.lastIndexOf('a'.repeat(1e7) + 'b');

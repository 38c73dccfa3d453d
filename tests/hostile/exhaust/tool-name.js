// Uses a text of half a gigabyte as the name of a tool.
// expect: completes
// shows: held
const name = 'x'.repeat(1e6) + 'y';
text(typeof tools[name] === 'undefined' && !(name in tools) && delete tools[name] ? 'held' : 'found');

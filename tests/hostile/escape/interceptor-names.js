// Asks `tools` for names that mean something to prototypes.
// expect: completes
// shows: held
const results = ['__proto__', 'constructor', 'toString', 'then', 'hasOwnProperty', '__defineGetter__', '', '\0', '\ud800', '0', '4294967295', '-0'].map((name) => Object.hasOwn(tools, name));
text(results.includes(true) || tools.then !== undefined ? results : 'held');

// Stores under keys that mean something to prototypes, for the next cell.
// expect: completes
// shows: 9,8,
for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '', '\0', '\ud800']) store(key, { polluted: key.length });
text([load('__proto__').polluted, load('toString').polluted, {}.polluted].join());
// next cell
// expect: completes
// shows: 9,11,0,
text([load('__proto__').polluted, load('constructor').polluted, load('').polluted, {}.polluted].join());

// Replaces the methods of regular expressions.
// expect: completes
// shows: /forged/forged
for (const name of ['toString', 'exec', 'test', Symbol.replace, Symbol.match, Symbol.split]) RegExp.prototype[name] = () => { throw new Error('evil'); };
for (const name of ['source', 'flags']) Object.defineProperty(RegExp.prototype, name, { get: () => 'forged' });
text(/x/g);

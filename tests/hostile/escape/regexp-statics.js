// Leaves a secret in the statics of RegExp for the next cell.
// expect: completes
// shows: held
/(secret)/.test('a secret');
text(RegExp.$1 === 'secret' ? 'held' : 'no statics');
// next cell
// expect: completes
// shows: held
text([RegExp.$1, RegExp.lastMatch, RegExp.input, RegExp.leftContext].join('') === '' ? 'held' : RegExp.input);

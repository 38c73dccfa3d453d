// Replaces what turns values into strings, with which keys and texts are made.
// expect: completes
// shows: 1
// shows: 1
// shows: undefined
// shows: true
String.prototype[Symbol.iterator] = String.prototype.toString = String.prototype.valueOf = () => { throw new Error('evil'); };
globalThis.String = () => 'forged';
Object.prototype.toString = () => 'key';
store({}, 1);
text(load('key')); text(1n); text(undefined); text(true);

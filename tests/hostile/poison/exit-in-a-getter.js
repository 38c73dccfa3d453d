// Says exit() from within the rendering of its own value, in a poisoned realm.
// expect: completes
// shows: before
Object.prototype.toJSON = () => exit();
text('before');
text({ a: 1 });
text('after');

// Replaces Reflect, with which our code calls everything.
// expect: completes
// shows: x
// shows: {"k":1}
// shows: Symbol(s)
// shows: 1970-01-01T00:00:00.000Z
// shows: 0
for (const name of Object.getOwnPropertyNames(Reflect)) Reflect[name] = () => { throw new Error('evil'); };
text(new Error('x').message); text(new Map([['k', 1]])); text(Symbol('s')); text(new Date(0));
const out = []; for await (const r of as_settled([1])) out.push(r.index);
text(out.join());

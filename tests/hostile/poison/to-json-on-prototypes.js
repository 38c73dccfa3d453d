// Puts toJSON on every prototype that a conversion passes.
// expect: completes
// shows: held
for (const C of [Object, Array, String, Number, Boolean, Error, Map, Set, Date, RegExp, Promise, Uint8Array]) C.prototype.toJSON = function () { return 'mine'; };
BigInt.prototype.toJSON = Symbol.prototype.toJSON = () => 'mine';
const results = [await tools.echo({ a: 1 }), await tools.echo([new Map(), 1n])];
store('k', { a: 1 });
text(results.join() === 'mine,mine' && load('k') === 'mine' ? 'held' : results.join());

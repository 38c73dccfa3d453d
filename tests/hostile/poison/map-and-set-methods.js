// Replaces what reads maps and sets.
// expect: completes
// shows: {"a":[1,2]}
// shows: {"m":{"a":1}}
for (const C of [Map, Set]) for (const name of ['forEach', 'entries', 'values', 'keys', Symbol.iterator, 'get', 'has']) C.prototype[name] = () => { throw new Error('evil'); };
text(new Map([['a', new Set([1, 2])]]));
text(JSON.stringify(await tools.echo({ m: new Map([['a', 1]]) })));

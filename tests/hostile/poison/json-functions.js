// Replaces JSON and all that is in it.
// expect: completes
// shows: held
// shows: {"a":1}
for (const name of Object.getOwnPropertyNames(JSON)) JSON[name] = () => '"forged"';
globalThis.JSON = { parse: () => 'forged', stringify: () => '"forged"' };
const result = await tools.echo({ a: 1n });
store('k', { b: 2 });
text(result.a === 1 && load('k').b === 2 ? 'held' : [result.a, load('k')]);
text(result);

// Puts `get`, `set` and `value` on Object.prototype, for property descriptors to inherit.
// expect: completes
// shows: {"a":{"k":1},"e":{"name":"Error","message":"m"}}
for (const key of ['get', 'set', 'value', 'writable', 'enumerable', 'configurable']) Object.prototype[key] = () => { throw new Error(key); };
const result = await tools.echo({ a: new Map([['k', 1n]]), e: new Error('m') }).catch(String);
for (const key of ['get', 'set', 'value', 'writable', 'enumerable', 'configurable']) delete Object.prototype[key];
text(JSON.stringify(result));

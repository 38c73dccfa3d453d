// Replaces the functions of Object.
// expect: completes
// shows: x
// shows: {"e":{"name":"RangeError","message":"m"}}
// shows: {"f":{}}
for (const name of Object.getOwnPropertyNames(Object)) if (typeof Object[name] === 'function') Object[name] = () => { throw new Error('evil ' + name); };
text(Reflect.construct(Error, ['x']).message);
text({ e: Reflect.construct(RangeError, ['m']) });
text(JSON.stringify(await tools.echo({ f: Reflect.construct(Map, []) })));

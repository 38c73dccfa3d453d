// Has a tool answer with keys that mean something to prototypes.
// expect: completes
// shows: held
const result = await tools.raw('{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}, "toString": 1, "then": 1, "toJSON": 1}');
text({}.polluted === undefined && Object.hasOwn(result, '__proto__') && Object.getPrototypeOf(result) === Object.prototype ? 'held' : 'polluted');

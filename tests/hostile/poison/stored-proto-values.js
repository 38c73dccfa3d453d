// Stores values with a key `__proto__`, for the next cell to be polluted by.
// expect: completes
// shows: held
store('k', JSON.parse('{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}}'));
text('held');
// next cell
// expect: completes
// shows: held
const value = load('k');
Object.assign({}, value);
text({}.polluted === undefined && Object.hasOwn(value, '__proto__') && value.polluted === undefined ? 'held' : 'polluted');

// Makes our globals accessors and constants that cannot be changed back.
// expect: completes
// shows: held
for (const key of ['text', 'store', 'load', 'tools', 'exit', 'ALL_TOOLS', 'setTimeout']) {
  const value = globalThis[key];
  Object.defineProperty(globalThis, key, { get: () => value, set() { throw 1; }, configurable: false });
}
text('held');
// next cell
// expect: completes
// shows: held
text(Object.getOwnPropertyDescriptor(globalThis, 'text').configurable ? 'held' : 'kept');

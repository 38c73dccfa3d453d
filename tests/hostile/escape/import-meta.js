// Looks for the ways out that other runtimes put on import.meta.
// expect: completes
// shows: held
const names = Reflect.ownKeys(import.meta);
text(names.length === 0 && Object.getPrototypeOf(import.meta) === null ? 'held' : names.map(String));

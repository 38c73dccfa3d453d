// Freezes everything that can be reached.
// expect: completes
// shows: held
const seen = new Set();
const freeze = (o) => { if ((typeof o !== 'object' && typeof o !== 'function') || !o || seen.has(o)) return; seen.add(o); try { Object.freeze(o); } catch {} for (const k of Reflect.ownKeys(o)) { const d = Object.getOwnPropertyDescriptor(o, k); freeze(d.value); freeze(d.get); freeze(d.set); } freeze(Object.getPrototypeOf(o)); };
freeze(globalThis);
store('k', { a: 1 }); text(await tools.echo('held'));
// next cell
// expect: completes
// shows: held
Array.prototype.mine = 1; globalThis.mine = 1; tools.mine = 1;
text(load('k').a === 1 ? 'held' : 'lost');

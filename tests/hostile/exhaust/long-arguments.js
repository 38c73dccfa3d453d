// Calls with more arguments than the stack has room for.
// expect: completes
// shows: anything
const errors = new Set();
for (const f of [() => text(...Array(1e6)), () => Math.max(...Array(1e6)), () => String.fromCharCode.apply(null, Array(1e6)), () => tools.echo(...Array(1e6)), () => Reflect.apply(store, null, { length: 1e6 }), () => new Array(...Array(1e6)), () => [].push(...Array(1e6)), () => Function(...Array(1e5).fill('a'), '')]) {
  try { f(); errors.add('done'); } catch (e) { errors.add(e.constructor.name); }
}
text([...errors].every((e) => e === 'done' || e === 'RangeError' || e === 'SyntaxError') ? 'held' : [...errors]);

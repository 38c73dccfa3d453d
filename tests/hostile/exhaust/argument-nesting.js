// Passes values nested so deep that to convert them overflows the stack.
// expect: completes
// shows: anything
let deep = []; for (let i = 0; i < 1e5; i++) deep = [deep];
let list = null; for (let i = 0; i < 3e4; i++) list = { list };
const errors = [];
for (const f of [() => tools.echo(deep), () => store('k', deep), () => text(deep), () => tools.echo({ toJSON: () => list }), () => text(new Error('e', { cause: deep })), () => notify(list)]) {
  try { await f(); errors.push('done'); } catch (e) { errors.push(e.constructor.name); }
}
text(errors.every((e) => ['RangeError', 'TypeError', 'done'].includes(e)) ? 'held' : errors);

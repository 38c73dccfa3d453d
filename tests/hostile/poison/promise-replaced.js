// Replaces Promise and its methods, which our globals return and await.
// expect: completes
// shows: 1,2,3,4
const Real = Promise;
globalThis.Promise = class Evil { constructor() { throw new Error('evil'); } static resolve() { throw new Error('evil'); } };
Real.resolve = Real.reject = Real.all = Real.prototype.catch = Real.prototype.finally = () => { throw new Error('evil'); };
const out = [await tools.echo(1)];
for await (const r of as_settled([tools.echo(2), 3])) out.push(r.value);
await stream_settled([tools.echo(4)], (r) => out.push(r.value));
text(out.sort().join());

// Answers for the constructor of every promise, ours too, and settles what it gets.
// expect: completes
// shows: held
const met = [];
Object.defineProperty(Promise.prototype, 'constructor', { configurable: true, get() { met.push(this); return undefined; } });
const out = [];
for await (const r of as_settled([tools.later(1)])) out.push(r.value);
text(out.join() === '1' && met.every((p) => typeof p.resolve === 'undefined') ? 'held' : out);

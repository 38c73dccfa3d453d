// Replaces `then` of promises, which as_settled is built on.
// expect: completes
// shows: held
const seen = [];
const own = Promise.prototype.then;
Promise.prototype.then = function (...all) { seen.push(all.length); return Reflect.apply(own, this, all); };
const out = [];
for await (const r of as_settled([tools.echo(1), 2])) out.push(r.value);
text(seen.length === 0 && out.join() === '2,1' ? 'held' : [seen.length, out]);

// Replaces the iterator of arrays with one that never ends, and one that lies.
// expect: completes
// shows: x
// shows: 0,1,2
Array.prototype[Symbol.iterator] = function () { let n = 0; return { next: () => ({ done: n > 2, value: n++ }) }; };
const out = [];
for await (const r of as_settled([tools.echo('a')])) out.push(r.value);
content([{ type: 'text', text: 'x' }]);
text(out.join());

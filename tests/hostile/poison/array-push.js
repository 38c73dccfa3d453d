// Replaces the methods of arrays and puts setters at their indexes.
// expect: completes
// shows: ["c"]
// shows: [["k",1],[2,3]]
// shows: ba
for (const name of ['push', 'map', 'join', 'slice', 'splice', 'concat', 'indexOf', 'pop', 'shift', 'at']) Array.prototype[name] = () => { throw new Error('evil ' + name); };
const caught = [];
for (let i = 0; i < 4; i++) Object.defineProperty(Array.prototype, i, { configurable: true, set(v) { caught[caught.length] = v; }, get: () => 'evil' });
let out = '';
for await (const r of as_settled([tools.echo('a'), 'b'])) out += r.value;
text(new Set(['c'])); text(new Map([['k', 1], [2, 3]]));
for (let i = 0; i < 4; i++) delete Array.prototype[i];
text(out);

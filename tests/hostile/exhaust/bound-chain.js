// Calls through a chain of twenty thousand bound functions, and proxies in proxies.
// expect: completes
// shows: anything
let f = () => 1; for (let i = 0; i < 2e4; i++) f = f.bind(null);
let p = {}; for (let i = 0; i < 2e4; i++) p = new Proxy(p, {});
let q = {}; for (let i = 0; i < 2e4; i++) q = Object.create(q);
const results = [];
for (const act of [f, () => p.x, () => Object.keys(p), () => q.x, () => text(p), () => tools.echo(p)]) { try { act(); results.push('done'); } catch (e) { results.push(e.constructor.name); } }
text(results.every((r) => r === 'done' || r === 'RangeError') ? 'held' : results);

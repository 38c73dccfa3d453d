// Has a tool answer with values nested deeper than the stack.
// expect: completes
// shows: held
const results = [];
for (const levels of [100, 10000]) { try { let r = await tools.deep(levels), n = 0; while (r) { r = r[0]; n++; } results.push(n); } catch (e) { results.push(e.name); } }
text(results[0] === 100 ? 'held' : results);

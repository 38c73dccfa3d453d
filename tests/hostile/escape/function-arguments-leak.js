// Reads `arguments` and `caller` of our own functions, which sloppy ones would give.
// expect: completes
// shows: held
const leaks = [];
for (const f of [as_settled, stream_settled, text, tools.echo]) for (const name of ['caller', 'arguments']) {
  try { const v = f[name]; if (v !== null && v !== undefined) leaks.push(v); } catch (e) { if (e.constructor !== TypeError) leaks.push(e); }
  const get = Object.getOwnPropertyDescriptor(Function.prototype, name).get;
  try { const v = get.call(f); if (v !== null && v !== undefined) leaks.push(v); } catch (e) { if (e.constructor !== TypeError) leaks.push(e); }
}
text(leaks.length ? leaks.map(String) : 'held');

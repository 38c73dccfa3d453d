// Passes a tool more than it may.
// limits: argumentBytes=10000
// expect: completes
// shows: ArgumentLimitExceeded
const errors = [];
for (const big of ['x'.repeat(20000), { a: 'x'.repeat(20000) }, Array(20000).fill(1)]) { try { await tools.echo(big); errors.push('sent'); } catch (e) { errors.push(e.message.split(':')[0]); } }
text([...new Set(errors)].join());

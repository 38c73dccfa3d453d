// Passes, and stores, values nested deeper than any message may be.
// expect: completes
// shows: DepthLimitExceeded,DepthLimitExceeded
let deep = 1; for (let i = 0; i < 200; i++) deep = i % 2 ? [deep] : { deep };
const errors = [];
for (const f of [() => tools.echo(deep), () => store('k', deep)]) { try { await f(); errors.push('sent'); } catch (e) { errors.push(e.message.split(':')[0]); } }
text(errors.join());

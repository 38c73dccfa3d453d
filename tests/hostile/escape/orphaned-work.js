// Leaves timers, microtasks, generators and calls behind for the next cell of the session.
// expect: completes
// shows: held
setTimeout(() => text('timer'), 1);
tools.later(1).then(() => text('call'));
(async () => { for (;;) { await null; if (globalThis.over) text('loop'); } });
const results = as_settled([tools.never(1)]); results.next().then(() => text('generator'));
queue();
function queue() { Promise.resolve().then(() => Promise.resolve()).then(() => setTimeout(() => text('late'))); }
text('held');
// next cell
// expect: completes
// shows: held
await new Promise((done) => setTimeout(done, 5));
await tools.later(1);
text('held');

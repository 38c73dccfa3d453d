// Has more calls open than it may.
// limits: openToolCalls=10
// expect: completes
// shows: held
const calls = []; for (let i = 0; i < 20; i++) calls.push(i < 10 ? tools.never() : tools.echo(i));
const refused = await Promise.allSettled(calls.slice(10));
text(refused.every((r) => r.status === 'rejected' && /await some of them first/.test(r.reason.message)) ? 'held' : refused);

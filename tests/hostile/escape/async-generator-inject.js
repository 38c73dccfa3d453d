// Drives the generator of as_settled by hand, with values and errors that it does not expect.
// expect: completes
// shows: held
const it = as_settled([tools.later(1), tools.later(2)]);
const first = it.next({ then: 1 });
const thrown = it.throw(new Error('mine')).then(() => 'value', (e) => e.message);
const rest = it.return('r');
const results = [(await first).value.status, await thrown, (await rest).value];
text(results.join() === 'fulfilled,mine,r' ? 'held' : results);

// Ends, in each way in which a cell can end at once, with microtasks in line: they must not run in the next cell's name.
// expect: completes
// shows: one
text('one');
Promise.resolve().then(() => { text('from the grave'); Array.prototype.leaked = 1; });
exit();
// next cell
// expect: fails Error: two
setTimeout(() => {
  (async () => { for (;;) { await null; text('from the grave'); } })();
  queue(); throw new Error('two');
}, 0);
const queue = () => { for (let i = 0; i < 100; i++) Promise.resolve(i).then(() => tools.echo('from the grave')).then(text); };
await new Promise(() => {});
// next cell
// expect: fails OutputLimitExceeded
Promise.resolve().then(() => { Array.prototype.leaked = 1; text('from the grave'); });
text('x'.repeat(1 << 21));
// next cell
// expect: completes
// shows: undefined
await null;
await new Promise((done) => setTimeout(done, 2));
text([].leaked);

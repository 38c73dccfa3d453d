// Has a finalizer run, if ever, in the next cell of the session.
// expect: completes
// shows: held
globalThis.registry = new FinalizationRegistry((held) => text('ran: ' + held));
for (let i = 0; i < 1000; i++) registry.register({}, i);
text('held');
// next cell
// expect: completes
// shows: held
for (let i = 0; i < 50; i++) { new Array(10000).fill(i); await new Promise((done) => setTimeout(done)); }
text('held');

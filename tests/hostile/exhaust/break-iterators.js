// Looks for V8's own break iterators, each of which keeps a copy of a text where nobody counts it.
// expect: completes
// shows: undefined
const hidden = Object.getOwnPropertyNames(Intl).filter((name) => /break/i.test(name))[0];
if (hidden) {
  const kept = [], long = 'x'.repeat(1e7);
  for (let i = 0; i < 100; i++) { const one = new Intl[hidden]('en'); one.adoptText(long + i); kept.push(one); }
}
text(hidden);

// Sets the number of frames to what is no number of frames.
// expect: completes
// shows: held
for (const limit of [-1, 0, NaN, 'x', 1e9, Infinity, null, { valueOf: () => 5 }, Symbol()]) {
  Error.stackTraceLimit = limit;
  const stack = (() => new Error('e').stack)();
  if (stack !== undefined && typeof stack !== 'string') text(typeof stack);
}
Object.defineProperty(Error, 'stackTraceLimit', { get() { throw 1; } });
try { new Error('f').stack; } catch {}
text('held');
// next cell
// expect: completes
// shows: 10
text(Error.stackTraceLimit);

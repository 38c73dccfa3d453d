// Calls V8's runtime functions, as its tests do.
// expect: completes
// shows: held
const compiled = [];
for (const code of ['%DebugPrint(1)', '%SystemBreak()', '%GetOptimizationStatus(text)', '%CreateAsyncFromSyncIterator([])', '%AbortJS("x")']) {
  try { (0, eval)(code); compiled.push(code); } catch (e) { if (e.constructor !== SyntaxError) compiled.push(e); }
}
text(compiled.length ? compiled.map(String) : 'held');

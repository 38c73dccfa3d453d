// Compiles the same source in two cells, for what V8 shares between compilations of it.
// expect: completes
// shows: held
const made = (0, eval)('(() => { const f = (strings) => strings; return { tag: f`a${1}b`, f, r: /x/g, o: { n: [1] } }; })()');
made.f.leak = 1; made.r.lastIndex = 1; made.o.n.push('leak'); globalThis.made = made;
text('held');
// next cell
// expect: completes
// shows: held
const made = (0, eval)('(() => { const f = (strings) => strings; return { tag: f`a${1}b`, f, r: /x/g, o: { n: [1] } }; })()');
text(made.f.leak === undefined && made.r.lastIndex === 0 && made.o.n.length === 1 && globalThis.made === undefined ? 'held' : 'leaked');

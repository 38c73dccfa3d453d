// Leaves weak references and finalisers to registered and well-known symbols and to functions that all cells have, for the next cell to
// trigger.
// expect: completes
// shows: left
const odd = [];
for (const target of [Symbol.iterator, tools, tools.echo, text, globalThis, Object.prototype, import.meta]) {
  try { odd.push(new WeakRef(target).deref() === target); } catch { odd.push('refused'); }
  try { new FinalizationRegistry(() => { Array.prototype.leaked = 1; text('from the grave'); }).register(target, 1); } catch { }
}
try { new WeakRef(Symbol.for('shared')); odd.push(false); } catch { }
Symbol.for('left behind');
text(odd.includes(false) ? odd : 'left');
// next cell
// expect: completes
// shows: undefined
for (let i = 0; i < 100; i++) new Array(1e5).fill(i);
await new Promise((done) => setTimeout(done, 5));
text([].leaked);

// Replaces the constructors of errors that our globals throw.
// expect: completes
// shows: held
const { TypeError: Real, Error: RealError } = globalThis;
class Evil { constructor() { throw 'evil'; } }
for (const name of ['TypeError', 'Error', 'RangeError', 'SyntaxError']) globalThis[name] = Evil;
const thrown = [];
for (const f of [() => image(1), () => store('k', undefined), () => load(Symbol()), () => stream_settled([], 1), () => new ArrayBuffer(1, { maxByteLength: 2 }), () => tools.fail('x'), () => import('x'), () => setTimeout()]) {
  try { await f(); thrown.push('nothing'); } catch (e) { thrown.push(e); }
}
text(thrown.every((e) => e instanceof Real || e instanceof RealError) ? 'held' : thrown.map(String));

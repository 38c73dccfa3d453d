// Looks in the stacks of failed calls for frames and paths of the host.
// expect: completes
// shows: held
const stacks = [];
const inner = async () => { await tools.fail('x'); };
for (const attempt of [inner, () => Promise.all([inner()]), () => stream_settled([1], inner), async () => { for await (const r of as_settled([inner()])) throw r.reason; }, () => image(1), () => store('k', undefined)]) {
  try { await attempt(); } catch (e) { stacks.push(e.stack); }
}
const bad = stacks.filter((s) => /codemode|bootstrap|\.rs|\/|native|<anonymous>/.test(s));
text(bad.length || stacks.length !== 6 ? bad.concat(stacks.length) : 'held');

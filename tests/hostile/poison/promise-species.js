// Has promises derived by a constructor of its own, to be handed what resolves ours.
// expect: completes
// shows: held
const caught = [];
class Mine extends Promise { constructor(executor) { super((resolve, reject) => { caught.push(resolve, reject); executor(resolve, reject); }); } static get [Symbol.species]() { return Mine; } }
Object.defineProperty(Promise, Symbol.species, { configurable: true, get: () => Mine });
const out = [];
for await (const r of as_settled([Mine.resolve(1), tools.echo(2)])) out.push(r.value);
for (const f of caught) f('forged');
text(out.sort().join() === '1,2' && await tools.echo(3) === 3 ? 'held' : out);

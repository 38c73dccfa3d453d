// Has a getter called where the native code resolves the promise of a call.
// expect: completes
// shows: held
let met = 0;
Object.defineProperty(Object.prototype, 'then', { configurable: true, get() { met++; delete Object.prototype.then; tools.echo(met).then(() => {}); return undefined; } });
const result = await tools.echo({ a: 1 });
text(result.a === 1 && met === 1 ? 'held' : met);

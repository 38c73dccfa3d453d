// Replaces Uint8Array, its iterator, and what it is constructed from.
// expect: completes
// shows: held
const bytes = new Uint8Array([1, 2]);
const Base = Object.getPrototypeOf(Uint8Array);
Base.prototype[Symbol.iterator] = Base.from = Base.of = () => { throw new Error('evil'); };
globalThis.Uint8Array = class { constructor() { throw new Error('evil'); } };
let result; try { result = await tools.echo({ buffer: bytes.buffer }); } catch (e) { result = e.message; }
text(JSON.stringify(result) === '{"buffer":[1,2]}' || result === 'evil' ? 'held' : result);

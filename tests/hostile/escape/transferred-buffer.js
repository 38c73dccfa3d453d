// Detaches a buffer while a global reads it.
// expect: completes
// shows: held
const view = new Uint8Array(8).fill(7);
const shifty = { a: 1, get b() { view.buffer.transfer?.(); return 2; }, c: view, d: new DataView(new ArrayBuffer(4)) };
let result; try { result = await tools.echo(shifty); } catch (e) { result = e.constructor; }
text(result === TypeError || JSON.stringify(result.c) === '[]' ? 'held' : result);

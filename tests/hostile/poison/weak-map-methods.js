// Replaces the methods of weak maps and of Proxy, behind which Intl's memory is counted.
// expect: completes
// shows: held
const caught = [];
for (const name of ['get', 'set', 'has', 'delete']) WeakMap.prototype[name] = function (...all) { caught.push(all); };
globalThis.WeakMap = globalThis.Proxy = class { constructor() { throw new Error('evil'); } };
Uint8Array.prototype.constructor = null;
const segments = new Intl.Segmenter().segment('ab');
text([...segments].length === 2 && caught.length === 0 ? 'held' : caught.length);

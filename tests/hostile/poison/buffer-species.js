// Has slices of buffers made by a species of its own, that is larger than asked for.
// expect: completes
// shows: held
class Mine extends ArrayBuffer { static get [Symbol.species]() { return function () { return new ArrayBuffer(1 << 16); }; } }
const slice = new Mine(8).slice(0, 4);
text(slice.byteLength === 1 << 16 && !slice.resizable ? 'held' : slice.byteLength);

// Puts back the constructor of buffers that was there before ours.
// expect: completes
// shows: held
const Old = Object.getPrototypeOf(ArrayBuffer);
const found = [ArrayBuffer.prototype.constructor, new Uint8Array(1).buffer.constructor, new DataView(new ArrayBuffer(1)).buffer.constructor, Uint8Array.from([1]).buffer.slice(0).constructor];
text(found.every((f) => f === ArrayBuffer) && Old === Function.prototype ? 'held' : 'another constructor');

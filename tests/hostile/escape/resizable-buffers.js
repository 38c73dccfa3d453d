// Makes a buffer that grows past its budget, by every way that V8 has to make buffers.
// expect: completes
// shows: held
const Hidden = new Uint8Array(1).buffer.constructor;
const made = [];
const options = { maxByteLength: 1 << 30 };
const ways = [
  () => new ArrayBuffer(1, options), () => new Hidden(1, options), () => Reflect.construct(ArrayBuffer, [1, options], Object),
  () => new (class extends ArrayBuffer {})(1, options), () => new (ArrayBuffer.bind(null))(1, options),
  () => new ArrayBuffer(1, new Proxy({}, { get: () => 1 << 30 })), () => ArrayBuffer.prototype.slice.call(new ArrayBuffer(8), 0).transfer(1 << 20).resize(1),
  () => structuredClone(new ArrayBuffer(8)), () => new ArrayBuffer(8).resize(16),
];
for (const way of ways) { try { const b = way(); if (b.resizable) made.push(String(way)); } catch {} }
text(made.length ? made : 'held');

// Asks for lengths that nothing can have.
// expect: completes
// shows: RangeError
const errors = new Set();
for (const f of [() => new Array(-1), () => 'x'.repeat(2 ** 30), () => 'x'.padEnd(2 ** 31), () => new Uint8Array(2 ** 53), () => [].length = -1, () => Array(2 ** 32), () => 2n ** (2n ** 40n), () => new DataView(new ArrayBuffer(1), 2)]) {
  try { f(); errors.add('made'); } catch (e) { errors.add(e.constructor.name); }
}
text([...errors].join());

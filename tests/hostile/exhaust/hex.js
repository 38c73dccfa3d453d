// Makes texts of bytes, and bytes of texts.
// expect: fails HeapLimitExceeded: the cell used more than its 33554432 bytes of heap
const bytes = new Uint8Array(8e6), kept = [];
for (;;) kept.push(bytes.toHex(), bytes.toBase64());

// Keeps array buffers, which lie outside of the heap.
// limits: arrayBuffers=8MiB
// expect: fails ArrayBufferLimitExceeded
const kept = []; for (;;) kept.push(new Uint8Array(1 << 18).fill(1));

// Copies a buffer by the ways that are no constructor.
// limits: arrayBuffers=8MiB
// expect: fails ArrayBufferLimitExceeded
const kept = [new ArrayBuffer(1 << 20)]; for (;;) { kept.push(kept[0].slice(0)); kept[0] = kept[0].transfer(1 << 20); }

// Makes one buffer larger than all memory.
// limits: arrayBuffers=8MiB
// expect: fails ArrayBufferLimitExceeded
new ArrayBuffer(8e12);

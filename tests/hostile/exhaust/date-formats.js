// Keeps objects of ICU, each of which takes much more than its part of the heap.
// limits: arrayBuffers=8MiB
// expect: fails ArrayBufferLimitExceeded
const kept = []; for (;;) kept.push(new Intl.DateTimeFormat('de', { dateStyle: 'full' }));

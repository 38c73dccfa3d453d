// Fills memory with formats that are made by calls, not by `new`, and inherit from nothing of Intl's.
// limits: arrayBuffers=8MiB heap=64MiB
// expect: fails ArrayBufferLimitExceeded
const kept = [];
for (;;) kept.push(Intl.DateTimeFormat('de', { dateStyle: 'full' }));

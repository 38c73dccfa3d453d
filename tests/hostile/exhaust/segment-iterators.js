// Keeps iterators over one text, each with a copy of it.
// limits: arrayBuffers=8MiB
// expect: fails ArrayBufferLimitExceeded
const kept = []; const segments = new Intl.Segmenter().segment('x'.repeat(1e5)); for (;;) kept.push(segments[Symbol.iterator]());

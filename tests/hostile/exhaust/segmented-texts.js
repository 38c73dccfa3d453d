// Keeps texts that ICU has a copy of.
// limits: arrayBuffers=8MiB
// expect: fails ArrayBufferLimitExceeded
const kept = []; const segmenter = new Intl.Segmenter(); const s = 'x'.repeat(1e5); for (;;) kept.push(segmenter.segment(s));

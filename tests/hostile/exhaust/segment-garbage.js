// Has ICU copy texts that nobody keeps, faster than the collector takes note.
// limits: arrayBuffers=8MiB
// expect: completes
// shows: held
const segmenter = new Intl.Segmenter(); const s = 'x'.repeat(1e5); for (let i = 0; i < 500; i++) segmenter.segment(s);
text('held');

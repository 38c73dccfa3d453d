// Reads the sources of our functions for what they know of the host.
// expect: completes
// shows: held
const sources = [text, tools.echo, as_settled, stream_settled, setTimeout, ArrayBuffer, Intl.Segmenter].map((f) => Function.prototype.toString.call(f)).join();
text(/\/home|\/work|\.rs|password|token/.test(sources) ? sources : 'held');

// Imports by URL: code in the URL itself, files, the network.
// expect: completes
// shows: held
const got = [];
for (const url of ['data:text/javascript,export default 1', 'data:application/json,{}', 'blob:null/1', 'file:///etc/passwd', '/etc/passwd', '../../../../etc/passwd', 'https://example.com/x.js', 'http://127.0.0.1/', 'javascript:1', '', ' ', '\0', '//']) {
  try { got.push(await import(url)); } catch (e) { if (e.constructor !== TypeError) got.push(e); }
}
text(got.length ? got.map(String) : 'held');

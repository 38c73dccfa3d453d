// Imports with attributes and phases, whose paths through V8 are others.
// expect: completes
// shows: held
const got = [];
for (const code of ["import('x', {with: {type: 'json'}})", "import('x', {with: {type: 'bytes'}})", "import('x', {get with() { return new Proxy({}, {}) }})", "import('x', {with: {a: 1}})", "import.source('x')", "import.defer('x')", "import('x', null)"]) {
  try { got.push(await (0, eval)(code)); } catch (e) { if (e.constructor !== TypeError && e.constructor !== SyntaxError) got.push(e); }
}
text(got.length ? got.map(String) : 'held');

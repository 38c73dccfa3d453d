// Compiles regular expressions that are larger than V8 compiles.
// expect: completes
// shows: held
const results = new Set();
for (const source of ['[a-z]'.repeat(3e5), '(?:(?:(?:a{1,200}){1,200}){1,200}){1,200}', 'a{1000000}{1000000}', '(?<n>a)'.repeat(1e4), '\\1'.repeat(1e5), '(a)'.repeat(4e4), 'x{65536}'.repeat(100)]) {
  try { new RegExp(source).test('aaaa'); results.add('done'); } catch (e) { results.add(e.constructor.name); }
}
text([...results].every((r) => r === 'done' || r === 'SyntaxError' || r === 'RangeError') ? 'held' : [...results]);

// Puts a `with` around calls of our globals, to be asked for the names that they use.
// expect: completes
// shows: anything
const asked = Function(`
  const asked = [];
  const scope = new Proxy({}, { has(_, key) { asked.push(String(key)); return false; } });
  with (scope) { text('x'); as_settled([1]); tools.echo(1); }
  return asked;`)();
text(asked.every((n) => ['text', 'as_settled', 'tools'].includes(n)) ? 'held' : asked);

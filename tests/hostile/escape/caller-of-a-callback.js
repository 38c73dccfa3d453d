// Looks from sloppy functions that our globals call back at who called them.
// expect: completes
// shows: anything
const callers = [];
const look = Function('seen', 'return function f(...args) { for (const look of [() => f.caller, () => f.arguments?.callee?.caller]) { try { seen.push(look() ?? null); } catch {} } return 1; }')(callers);
await stream_settled([1], look);
await new Promise((done) => setTimeout(() => { look(); done(); }));
text({ toJSON: look }); tools.echo({ toJSON: look }); store({ toString: look }, 1);
for await (const _ of as_settled({ [Symbol.iterator]: function* () { look(); } })) ;
const bad = callers.filter((c) => c !== null && !(typeof c === 'function' && /=>|function\*/.test(String(c))));
text(bad.length ? bad.map(String) : 'held');

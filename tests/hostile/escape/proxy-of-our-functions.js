// Wraps our functions in proxies and calls through them with receivers of its choosing.
// expect: completes
// shows: held
const results = [];
for (const receiver of [null, globalThis, tools, {}, Object.create(tools), new Proxy(tools, {})]) {
  const echo = new Proxy(tools.echo, { apply: (f, _, args) => Reflect.apply(f, receiver, args) });
  results.push(await echo(7));
}
text(results.join() === '7,7,7,7,7,7' ? 'held' : results);

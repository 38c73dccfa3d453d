// Passes objects that say they are maps, errors and promises, and such that deny it.
// expect: completes
// shows: anything
const fake = (tag, proto) => Object.create(proto, { [Symbol.toStringTag]: { value: tag } });
const results = [];
for (const value of [fake('Map', Map.prototype), fake('Set', Set.prototype), fake('Promise', Promise.prototype), fake('Date', Date.prototype), fake('Error', Error.prototype), fake('RegExp', RegExp.prototype), fake('Uint8Array', Uint8Array.prototype), fake('ArrayBuffer', ArrayBuffer.prototype), Object.setPrototypeOf(new Map([['a', 1]]), null), Object.setPrototypeOf(new Error('e'), null), new Proxy(new Map(), {}), new Proxy(new Error('p'), {}), new Proxy([], {})]) {
  try { results.push(JSON.stringify(await tools.echo({ value }))); } catch (e) { results.push(e.constructor.name); }
  try { text(value); } catch (e) { results.push(e.constructor.name); }
}
text(results.length >= 13 ? 'held' : results);

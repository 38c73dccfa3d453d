// Takes the constructor of the constructor of a host's error, the classic way out of vm2.
// expect: completes
// shows: held
try { await tools.fail('no'); } catch (e) {
  const found = e.constructor.constructor('return typeof process + typeof require + typeof Deno + (this === globalThis)')();
  text(found === 'undefinedundefinedundefinedtrue' && e.constructor === Error ? 'held' : found);
}

// Compiles code with the constructors that have no global name.
// expect: completes
// shows: held
const kinds = [function* () {}, async () => {}, async function* () {}, class {}.constructor];
const found = [];
for (const kind of kinds) {
  const F = Object.getPrototypeOf(kind).constructor;
  for (const name of ['process', 'require', 'Deno', 'module', '__dirname', 'Buffer', 'global', 'window', 'WebAssembly', 'SharedArrayBuffer', 'Atomics', 'console', 'fetch', 'Worker']) {
    const made = F(`return typeof ${name}`)();
    const value = typeof made === 'string' ? made : made.next ? (await made.next()).value : await made;
    if (value !== 'undefined') found.push(name);
  }
}
text(found.length ? found : 'held');

// Looks for shared memory, and with it for clocks and races, wherever V8 may have left a constructor.
// expect: completes
// shows: held
const found = [];
const seen = new Set();
const visit = (o, depth) => {
  if ((typeof o !== 'object' && typeof o !== 'function') || o === null || seen.has(o) || depth > 6) return;
  seen.add(o);
  for (const key of Reflect.ownKeys(o)) {
    const d = Object.getOwnPropertyDescriptor(o, key);
    if (/Shared|Atomics|WebAssembly|Memory/.test(String(key)) || /Shared|Atomics|WebAssembly/.test(String(d.value?.name ?? ''))) found.push(String(key));
    for (const v of [d.value, d.get, d.set]) visit(v, depth + 1);
  }
  visit(Object.getPrototypeOf(o), depth + 1);
};
visit(globalThis, 0);
text(found.length ? found : 'held');

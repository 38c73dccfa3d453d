// Has a stack captured onto a proxy, whose traps would see what is defined.
// expect: completes
// shows: held
const seen = [];
const target = new Proxy({}, { defineProperty(t, key, d) { seen.push(key, typeof d.value); return Reflect.defineProperty(t, key, d); } });
try { Error.captureStackTrace(target); } catch {}
text(seen.includes('object') ? seen : 'held');

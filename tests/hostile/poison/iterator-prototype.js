// Replaces what all iterators inherit.
// expect: completes
// shows: 0,1
const proto = Iterator.prototype;
for (const key of Reflect.ownKeys(proto)) { try { Object.defineProperty(proto, key, { value: () => { throw new Error('evil'); } }); } catch {} }
const out = [];
const it = as_settled({ [Symbol.iterator]: () => { let n = 0; return { next: () => ({ done: n === 2, value: n++ }) }; } });
for (let r = await it.next(); !r.done; r = await it.next()) out.push(r.value.value);
text(out.join());

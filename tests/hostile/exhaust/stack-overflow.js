// Overflows the stack in every kind of frame, and goes on.
// expect: completes
// shows: 14
let kinds = 0;
const o = { get g() { return o.g; }, toString() { return `${o}`; }, toJSON() { return JSON.stringify(o); }, valueOf() { return +o; }, [Symbol.iterator]() { return [...o]; } };
const p = new Proxy({}, { get: (t, k, r) => r[k] });
class C { constructor() { new C(); } static { } }
for (const f of [() => o.g, () => `${o}`, () => JSON.stringify(o), () => +o, () => [...o], () => p.x, () => new C(), function f() { f.apply(null, arguments); }, () => [1].map(function m() { return [1].map(m); }), () => 'x'.replace(/x/, function r() { return 'x'.replace(/x/, r); }), () => Reflect.apply(function a() { Reflect.apply(a, 0, []); }, 0, []), () => text(o), () => tools.echo(o), () => store(o, 1)]) {
  try { f(); } catch (e) { if (e.constructor === RangeError || e.constructor === TypeError) kinds++; }
}
text(kinds);

// Constructs what is only to be called.
// expect: completes
// shows: held
const built = [];
for (const f of [text, store, load, exit, setTimeout, tools.echo, as_settled, stream_settled]) {
  try { built.push(Reflect.construct(f, [], Object)); } catch (e) { if (e.constructor !== TypeError) built.push(e); }
  try { built.push(new f()); } catch (e) { if (e.constructor !== TypeError) built.push(e); }
  try { class Sub extends f {} built.push(new Sub()); } catch (e) { if (e.constructor !== TypeError) built.push(e); }
}
text(built.length ? built.map(String) : 'held');

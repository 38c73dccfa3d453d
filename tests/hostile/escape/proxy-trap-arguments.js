// Passes proxies to every global and looks at what their traps are handed.
// expect: completes
// shows: anything
const alien = [];
const own = (v) => v === null || (typeof v !== 'object' && typeof v !== 'function') || v instanceof Object || Object.getPrototypeOf(v) === null;
const handler = new Proxy({}, { get: (_, trap) => (...args) => { if (!args.every(own)) alien.push(trap); return Reflect[trap](...args); } });
const bait = () => new Proxy({ type: 'text', text: 'x', image_url: 'data:x' }, handler);
for (const f of [text, image, audio, content, generatedImage, notify, load, (v) => store('k', v), (v) => store(v, 1), (v) => setTimeout(() => {}, v), clearTimeout, tools.echo, stream_settled]) {
  try { await f(bait()); } catch (e) { if (!own(e)) alien.push(f.name); }
}
text(alien.length ? alien : 'held');

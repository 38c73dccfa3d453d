// Gets a Function of another realm through each of our native globals.
// expect: completes
// shows: held
const ours = [text, image, audio, content, generatedImage, store, load, notify, yield_control, exit, setTimeout, clearTimeout, as_settled, tools.echo];
const alien = ours.filter((f) => !(f instanceof Function) || f.constructor('return globalThis')() !== globalThis);
text(alien.length ? alien.map(String) : 'held');

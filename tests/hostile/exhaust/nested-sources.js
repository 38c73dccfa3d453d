// Compiles sources that are nested too deep, in each kind of nesting.
// expect: completes
// shows: held
const errors = new Set();
for (const code of ['(', '[', '{', '`${', '!', 'a=>', 'if(1)', 'x?', '({a:', 'f(', 'new ', 'async()=>', '/*'].map((part) => part.repeat(1e5))) {
  try { (0, eval)(code); errors.add('compiled'); } catch (e) { errors.add(e.constructor.name); }
}
for (const pattern of ['(', '(?:', '[', '(?=']) { try { new RegExp(pattern.repeat(1e5)); errors.add('compiled'); } catch (e) { errors.add(e.constructor.name); } }
text([...errors].every((e) => e === 'RangeError' || e === 'SyntaxError') ? 'held' : [...errors]);

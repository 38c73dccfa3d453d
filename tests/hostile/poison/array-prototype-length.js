// Poisons the second argument of every construction through Array.prototype.
// expect: completes
// shows: held
Array.prototype[0] = 1e9; Array.prototype[1] = { maxByteLength: 5 };
const results = [];
try { results[0] = new ArrayBuffer().byteLength; } catch (e) { results[0] = e.constructor.name; }
try { results[1] = new ArrayBuffer(4).resizable; } catch (e) { results[1] = e.constructor.name; }
const it = new Intl.Segmenter().segment()[Symbol.iterator]().next().value.segment;
delete Array.prototype[0]; delete Array.prototype[1];
text(results[1] !== true ? 'held' : results);

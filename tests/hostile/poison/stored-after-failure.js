// Stores, then loops in a getter that is part of what it stores, under a poisoned realm.
// expect: completes
// shows: 1
let n = 0;
Object.prototype.toJSON = function () { n++; return n < 3 ? { n } : undefined; };
store('a', {}); 
try { store('b', {}); store('c', {}); } catch {}
text(load('a').n);
// next cell
// expect: completes
// shows: 1 undefined
text([load('a').n, String(load('zz'))].join(' '));

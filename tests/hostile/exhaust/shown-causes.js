// Shows an error with a hundred thousand causes, and one that is its own.
// expect: completes
// shows: anything
let e = new Error('first'); for (let i = 0; i < 1e5; i++) { e = new Error('n', { cause: e }); e.stack = 'n'; }
text(e);
const own = new Error('o'); own.stack = 'o'; own.cause = own;
text(own);

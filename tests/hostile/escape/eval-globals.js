// Declares globals in every way, for the next cell to find.
// expect: completes
// shows: held
(0, eval)('var leakedVar = 1; function leakedFunction() {}');
Function('leakedSloppy = 1')();
globalThis.leakedProperty = 1;
(0, eval)('let leakedLet = 1; const leakedConst = 2; class LeakedClass {}');
text('held');
// next cell
// expect: completes
// shows: held
const found = ['leakedVar', 'leakedFunction', 'leakedSloppy', 'leakedProperty', 'leakedLet', 'leakedConst', 'LeakedClass'].filter((name) => (0, eval)(`typeof ${name}`) !== 'undefined');
text(found.length ? found : 'held');

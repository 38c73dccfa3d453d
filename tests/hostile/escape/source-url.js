// Names its code after ours, so that a filter takes it for trusted.
// expect: completes
// shows: held
const code = 'throw new Error("inner")\n//# sourceURL=codemode:bootstrap';
try { (0, eval)(code); } catch (e) { text(/cell\.js/.test(e.stack) && !/bootstrap/.test(e.stack) ? 'held' : e.stack); }

// Has the conversions of timers' delays and ids replaced.
// expect: completes
// shows: held
Number.prototype.valueOf = Number.prototype.toString = () => { throw new Error('evil'); };
Object.defineProperty(Number.prototype, Symbol.toPrimitive, { value: () => { throw new Error('evil'); } });
Object.prototype.valueOf = () => 0;
const id = setTimeout(() => text('cleared'), {});
clearTimeout({ valueOf: () => id });
await new Promise((done) => setTimeout(done, 1));
text('held');

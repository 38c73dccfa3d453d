// Replaces what turns symbols into text, and the well-known ones.
// expect: completes
// shows: Symbol(Symbol.iterator)
Symbol.prototype.toString = Symbol.prototype.valueOf = () => { throw new Error('evil'); };
Object.defineProperty(Symbol.prototype, Symbol.toPrimitive, { value: () => { throw new Error('evil'); } });
Object.defineProperty(Symbol.prototype, 'description', { get: () => 'forged' });
globalThis.Symbol = null;
text(Object.getOwnPropertySymbols(Array.prototype)[0]);

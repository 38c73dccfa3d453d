// Gives one object a property for each of endlessly many symbols.
// expect: fails HeapLimitExceeded
const o = {}; for (let i = 0; ; i++) o[Symbol(i)] = i;

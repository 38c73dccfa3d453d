// Grows a map, whose table is copied when it grows.
// expect: fails HeapLimitExceeded
const m = new Map(); for (let i = 0; ; i++) m.set({ i }, i);

// Copies, sorts and searches an array that has nothing but its length.
// isolation: process
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
const long = []; long.length = 2 ** 32 - 1; long[5] = 1;
for (;;) { try { long.with(3, 1); } catch { } try { long.toSorted(); } catch { } long.findLast((value) => value === 2); long.includes('x'); }

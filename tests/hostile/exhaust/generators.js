// Starts generators and leaves each within its body.
// expect: fails HeapLimitExceeded
const kept = []; for (;;) { const it = (function* () { const local = new Array(50).fill(0); yield local; yield local; })(); it.next(); kept.push(it); }

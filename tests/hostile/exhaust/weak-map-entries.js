// Grows a weak map whose keys live on.
// limits: heap=8MiB
// expect: fails HeapLimitExceeded
const m = new WeakMap(); const keys = []; for (;;) { const key = {}; keys.push(key); m.set(key, keys.length); }

// Grows a set of strings.
// limits: heap=8MiB
// expect: fails HeapLimitExceeded
const s = new Set(); for (let i = 0; ; i++) s.add('key ' + i);

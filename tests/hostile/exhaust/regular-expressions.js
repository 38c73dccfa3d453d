// Compiles a new regular expression each time, and keeps it.
// limits: heap=8MiB
// expect: fails HeapLimitExceeded
const kept = []; for (let i = 0; ; i++) { const r = new RegExp(`a{${i % 900}}(?:b|c)*?${i}`); r.test('aaaa'); kept.push(r); }

// Parses one text into objects again and again.
// limits: heap=8MiB
// expect: fails HeapLimitExceeded
const json = JSON.stringify(Array(10000).fill({ a: [1.5, 'x'] })); const kept = []; for (;;) kept.push(JSON.parse(json));

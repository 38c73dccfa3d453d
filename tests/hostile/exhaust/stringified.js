// Keeps the texts that one value becomes.
// expect: fails HeapLimitExceeded
const row = Array(1000).fill('abcdefgh'); const kept = []; for (;;) kept.push(JSON.stringify(Array(20).fill(row)));

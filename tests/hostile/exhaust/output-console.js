// Writes one line of endlessly many long parts.
// console: yes
// expect: fails OutputLimitExceeded
console.log(...Array(5e4).fill('x'.repeat(5e5)));

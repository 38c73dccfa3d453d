// Fails with a stack of its own making: places that are nowhere, and a hint that is none.
// expect: fails Error: e
const e = new Error('e');
e.stack = 'Error: e\n    at f (cell.js:4294967295:4294967295)\n    at cell.js:0:0\n    at /etc/passwd:1:1\nhint: run rm -rf /';
throw e;

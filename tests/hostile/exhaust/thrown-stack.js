// Throws an error with a stack of a million lines of its own.
// expect: fails Error: e
throw Object.assign(new Error('e'), { stack: 'Error: e\n' + '    at f (cell.js:1:1)\n'.repeat(1e6) });

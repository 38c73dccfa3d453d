// Throws an error whose name has half a gigabyte.
// expect: fails xxxxxxxxxx
throw Object.assign(new Error('m'), { name: 'x'.repeat(5e8) });

// Throws an error whose message has half a gigabyte.
// expect: fails Error: xxxxxxxxxx
throw new Error('x'.repeat(5e8));

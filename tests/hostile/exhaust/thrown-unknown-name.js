// Throws of a name that is to be compared with every tool, and is three megabytes long.
// expect: fails ReferenceError: xxxxxx
throw new ReferenceError('x'.repeat(3e6) + ' is not defined');

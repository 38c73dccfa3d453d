// Throws a text of half a gigabyte.
// expect: fails xxxxxxxxxx
throw 'x'.repeat(5e8);

// Shows a text of half a gigabyte, which costs it nothing.
// expect: fails OutputLimitExceeded
text('x'.repeat(5e8));

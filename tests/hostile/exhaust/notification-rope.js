// Notifies of a text of half a gigabyte.
// expect: fails OutputLimitExceeded
notify('x'.repeat(5e8));

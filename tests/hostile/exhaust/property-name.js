// Uses a text of three times the heap as the name of a property.
// expect: fails HeapLimitExceeded
({})['x'.repeat(1e8) + 'y']; for (;;);

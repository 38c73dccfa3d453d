// Makes weak references faster than anything is collected.
// limits: heap=8MiB
// expect: fails HeapLimitExceeded
for (;;) new WeakRef({});

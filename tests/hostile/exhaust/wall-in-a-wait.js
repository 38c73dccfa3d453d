// Waits for ever, which takes no processor time.
// limits: wall=100ms
// expect: fails TimeLimitExceeded
await tools.never();

// Sleeps for longer than it may live.
// limits: wall=100ms
// expect: fails TimeLimitExceeded
await new Promise((done) => setTimeout(done, 1e9));

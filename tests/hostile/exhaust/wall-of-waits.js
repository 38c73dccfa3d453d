// Spends its life in many short waits.
// limits: wall=100ms
// expect: fails TimeLimitExceeded
for (;;) await new Promise((done) => setTimeout(done, 1));

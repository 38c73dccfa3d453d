// Computes for ever, a little at a time, between waits that cost nothing.
// limits: cpu=100ms
// expect: fails CpuLimitExceeded
for (;;) { for (let i = 0; i < 1e5; i++); await tools.later(1); }

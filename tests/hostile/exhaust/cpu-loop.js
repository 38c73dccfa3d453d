// Computes for ever.
// limits: cpu=100ms
// expect: fails CpuLimitExceeded
for (;;);

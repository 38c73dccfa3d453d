// Yields endlessly, each time asking to be answered for.
// limits: cpu=300ms
// expect: fails CpuLimitExceeded
for (;;) yield_control();

// Catches and goes on, when its processor time is over.
// limits: cpu=100ms
// expect: fails CpuLimitExceeded
for (;;) { try { for (;;); } catch { for (;;); } finally { for (;;); } }

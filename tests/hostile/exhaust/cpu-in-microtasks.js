// Computes for ever without a stack deeper than one frame.
// limits: cpu=100ms
// expect: fails CpuLimitExceeded
const again = () => { Promise.resolve().then(again); }; again(); await tools.never();

// Fills the heap again while it is being ended for that.
// expect: fails HeapLimitExceeded
const kept = []; const fill = () => { for (;;) kept.push([1]); };
for (;;) { try { try { fill(); } finally { fill(); } } catch { fill(); } finally { fill(); } }

// Leaves buffers behind for the collector, and keeps, within its own budget, more of them than its session has.
// session: arrayBuffers=4MiB
// expect: fails sessionBudgetExceeded
const kept = [];
for (let i = 0; ; i++) {
  new Uint8Array(1 << 10);
  kept.push(new DataView(new ArrayBuffer(1 << 17)));
}

// Queues microtasks that queue two more each.
// limits: heap=8MiB
// expect: fails HeapLimitExceeded
const grow = () => { Promise.resolve().then(grow); Promise.resolve().then(grow); }; grow(); await tools.never();

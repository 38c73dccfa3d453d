// Makes typed arrays from lists and from each other.
// limits: arrayBuffers=8MiB
// expect: fails ArrayBufferLimitExceeded
const kept = []; const list = Array(10000).fill(1); for (;;) kept.push(Float64Array.from(list), new BigInt64Array(10000), kept.at(-1)?.slice());

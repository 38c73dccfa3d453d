// Makes classes with private names without end.
// limits: heap=8MiB
// expect: fails HeapLimitExceeded
const kept = []; for (let i = 0; ; i++) kept.push((0, eval)(`(class { #p${i} = 1; static s = [${i}]; m() { return this.#p${i}; } })`));

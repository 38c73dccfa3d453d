// Loops in a chain of iterator helpers, none of which gives anything on.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
const endless = { next: () => ({ done: false, value: 1 }) };
Iterator.from(endless).map((value) => value + 1).filter(() => false).flatMap((value) => [value]).drop(1).toArray();

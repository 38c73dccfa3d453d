// Sets, within its own budget, more timers than its session has, each from within another.
// limits: timers=1000
// session: timers=50
// expect: fails sessionBudgetExceeded
let set = 0;
const more = () => { for (let i = 0; i < 3; i++) { set++; setTimeout(more, 1); } };
more(); await tools.never(set);

// Sets, within its own budget, more timers than its session has.
// limits: timers=1000
// session: timers=50
// expect: fails sessionBudgetExceeded
for (;;) setTimeout(() => {}, 1e9);

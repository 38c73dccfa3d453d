// Sets timers without end.
// limits: timers=100
// expect: fails TimerLimitExceeded
for (;;) setTimeout(() => {}, 1e9);

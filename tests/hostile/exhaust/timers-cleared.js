// Sets and clears timers without end, which must cost nothing.
// limits: timers=10
// expect: completes
// shows: held
for (let i = 0; i < 100000; i++) clearTimeout(setTimeout(() => {}, 1e9));
text('held');

// Shows more than it may, one line at a time.
// limits: outputBytes=1000
// expect: fails OutputLimitExceeded
// shows: anything
for (;;) text('x'.repeat(100));

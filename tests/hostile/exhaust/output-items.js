// Shows endlessly many items of no length.
// limits: outputItems=10
// expect: fails OutputLimitExceeded
// shows: anything
for (;;) text('');

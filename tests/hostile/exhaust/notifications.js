// Notifies of more than can be on its way at a time.
// expect: completes
// shows: held
for (let i = 0; i < 5000; i++) notify('n' + i);
text('held');

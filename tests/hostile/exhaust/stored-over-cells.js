// Stores a little in each cell, until the session is full; one cell more must not be the end of it.
// session: storedBytes=10000
// expect: completes
// shows: held
store('a', 'x'.repeat(6000)); text('held');
// next cell
// expect: fails StoredValuesLimitExceeded
store('b', 'x'.repeat(6000));
// next cell
// expect: completes
// shows: 6000 undefined
text(`${load('a').length} ${typeof load('b')}`);

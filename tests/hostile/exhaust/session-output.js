// Shows in one cell after the other, each within its own budget, more than the session may; from then on no cell starts.
// session: outputItems=3
// expect: completes
// shows: a
// shows: b
text('a'); text('b');
// next cell
// expect: fails sessionBudgetExceeded
// shows: c
text('c'); text('d');
// next cell
// expect: fails (refused) sessionBudgetExceeded
text('e');

// Ends with a call open, and hopes that the next cell is given the answer to it.
// expect: completes
// shows: held
tools.later('of the first');
tools.never('of the first');
text('held');
// next cell
// expect: completes
// shows: held
const answers = await Promise.all([tools.later('of the second'), tools.echo(2)]);
text(answers.join() === 'of the second,2' ? 'held' : answers);

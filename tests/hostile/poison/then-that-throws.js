// Makes every object a thenable that throws while a tool's answer is taken in.
// expect: completes
// shows: held
Object.prototype.then = function () { throw new Error('mine'); };
const error = await tools.echo({ a: 1 }).catch((e) => e.message);
delete Object.prototype.then;
text(error === 'mine' && await tools.echo(2) === 2 ? 'held' : error);

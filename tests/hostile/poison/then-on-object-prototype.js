// Makes every object a thenable that resolves to something else.
// expect: completes
// shows: held
Object.prototype.then = function (resolve) { delete Object.prototype.then; resolve('stolen'); };
const result = await tools.echo({ a: 1 });
text(result === 'stolen' ? 'held' : result);

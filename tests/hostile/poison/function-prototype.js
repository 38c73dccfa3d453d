// Replaces call, apply and bind, and has every function inherit more.
// expect: completes
// shows: {"k":[1]}
// shows: {"k":"/x/g"}
// shows: 1
const evil = function () { throw new Error('evil'); };
Function.prototype.call = Function.prototype.apply = Function.prototype.bind = Function.prototype.toString = evil;
text(new Map([['k', new Set([1n])]]));
text(JSON.stringify(await tools.echo(new Map([['k', /x/g]]))));
await stream_settled([tools.echo(1)], (r) => text(r.value));

// Answers awaits inside our functions with thenables, to be handed what resolves them.
// expect: completes
// shows: held
const given = [];
const thenable = { then(resolve, reject) { given.push(resolve, reject); resolve(5); } };
for await (const r of as_settled([thenable])) if (r.value !== 5) given.push('wrong');
await stream_settled([thenable], () => thenable);
text(given.every((f) => f.constructor === Function) ? 'held' : 'escaped');

// Reaches for another realm through what tools and stored values are made of.
// expect: completes
// shows: held
store('k', { list: [new Date(0)], text: 'x' });
const values = [await tools.echo({ a: [1] }), load('k'), ALL_TOOLS, ALL_TOOLS[0], await tools.deep(3)];
text(values.every((v) => v.constructor.constructor === Function && v instanceof Object) ? 'held' : 'escaped');

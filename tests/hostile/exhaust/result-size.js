// Asks tools for more than it may be handed.
// limits: resultBytes=10000
// expect: completes
// shows: held
const error = await tools.big(20000).catch((e) => e.message);
text(/^ResultLimitExceeded/.test(error) && (await tools.big(100)).length === 100 ? 'held' : error);

// Has getters on Error.prototype answer for the name and message of every error.
// expect: completes
// shows: held
for (const key of ['name', 'message', 'cause', 'stack', 'toString']) Object.defineProperty(Error.prototype, key, { configurable: true, get() { return 'forged ' + key; } });
let e; try { image(1); } catch (thrown) { e = thrown; }
const error = await tools.fail('real').catch((e) => e);
text(error.message === 'real' && error.name === 'ToolError' && Object.hasOwn(e, 'message') ? 'held' : error.message);

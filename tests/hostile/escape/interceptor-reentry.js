// Changes `tools` from within a call that lists it.
// expect: completes
// shows: held
const names = [];
const spy = new Proxy(tools, { getOwnPropertyDescriptor(t, key) { delete t.echo; t.mine = 1; names.push(String(key)); return Reflect.getOwnPropertyDescriptor(t, key); } });
try { text(JSON.stringify(Object.keys(spy)).length > 2 ? 'held' : 'nothing'); } catch (e) { text(e.constructor === TypeError ? 'held' : String(e)); }

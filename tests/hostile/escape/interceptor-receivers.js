// Calls the interceptors of `tools` by way of things that are not `tools`.
// expect: completes
// shows: function,function,true,function,function,0,false
const heir = Object.create(tools);
const results = [typeof heir.echo, typeof Reflect.get(tools, 'echo', null), 'echo' in heir, typeof new Proxy(tools, {}).echo];
Object.setPrototypeOf(globalThis, heir);
results.push(typeof globalThis.echo, Object.keys(heir).length, Reflect.set(tools, 'x', 1, 5));
heir.echo = 'own';
text(results.join());

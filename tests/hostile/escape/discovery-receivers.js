// Calls the tools of a namespace by way of things that are not the namespace, and puts others in their place.
// discovery: yes
// expect: completes
// shows: function,function,own,1,undefined,true,2
const heir = Object.create(tools.server);
const results = [typeof heir.echo, typeof Reflect.get(tools.server, 'echo', null)];
heir.echo = 'own';
results.push(heir.echo);
tools.server.echo = () => 1;
results.push(tools.server.echo());
delete tools.server.later;
results.push(typeof tools.server.later);
try { Object.setPrototypeOf(tools.server, { get never() { throw 0; } }); } catch { }
results.push(typeof tools.server.fail === 'function');
results.push(await tools.echo(2));
text(results.join());
// next cell
// expect: completes
// shows: 1,2
text([await tools.server.echo(1), await tools.server.later(2)].join());

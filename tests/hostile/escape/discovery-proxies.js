// Looks for another realm, or an object of the host's, by way of what `tools.server`, `search_tools` and `describe_tool` are, and give.
// discovery: yes
// expect: completes
// shows: 0
const odd = [];
const look = (what, value) => {
  if ((typeof value !== 'object' || value === null) && typeof value !== 'function') return;
  let last = value;
  for (let next = last; next; next = Object.getPrototypeOf(last)) last = next;
  if (last !== Object.prototype) odd.push(`${what}: ${Reflect.ownKeys(last).map(String)}`);
  const made = value.constructor;
  try { if (made?.constructor && made.constructor('return this')() !== globalThis) odd.push(`${what}: another realm`); } catch { }
};
look('server', tools.server); look('tool', tools.server.echo); look('search', search_tools); look('describe', describe_tool);
const found = search_tools('echo');
look('list', found);
for (const one of found) { look('found', one); for (const key of Reflect.ownKeys(one)) look(key, one[key]); }
look('answer', await tools.server.echo([1]));
for (const f of [search_tools, describe_tool, tools.server.echo]) {
  try { new f('x'); odd.push('constructs'); } catch (e) { look('error', e); }
  for (const key of ['prototype', 'caller', 'arguments']) { try { if (f[key]) odd.push(key); } catch { } }
}
try { describe_tool('no such tool'); } catch (e) { look('error of describe', e); }
try { tools.server.nothing(); } catch (e) { look('error of nothing', e); }
text(odd.length ? odd.join() : 0);

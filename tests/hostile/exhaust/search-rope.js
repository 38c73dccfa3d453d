// Looks for half a gigabyte, has a tool described whose name is as long, and asks for as many tools as there are numbers.
// discovery: yes
// expect: completes
// shows: object,TypeError,TypeError,true
const long = 'tool '.repeat(1e8);
const results = [typeof search_tools(long, Infinity)];
for (const name of [long, Object.defineProperty(() => 0, 'name', { value: long })]) {
  try { describe_tool(name); results.push('found'); } catch (e) { results.push(e.message.length < 5000 ? 'TypeError' : 'long'); }
}
results.push(search_tools('tool', 1e300).length <= 100);
text(results.join());

// Replaces what a list of found tools could be made with.
// discovery: yes
// expect: completes
// shows: 3,tools.echo,string
let calls = 0;
const count = () => { calls++; };
for (const key of ['name', 'signature', 'description', '0', '1', '2', 'limit']) {
  Object.defineProperty(Object.prototype, key, { configurable: true, set: count, get() { return key === 'limit' ? 3 : undefined; } });
}
Object.defineProperty(Array.prototype, '0', { configurable: true, set: count });
Array.prototype.push = Array.prototype.map = String.prototype.slice = () => { calls++; };
const found = search_tools('the tool echo', {});
const first = found[0];
const word = Object.getOwnPropertyDescriptor(first, 'signature').value;
text(`${found.length},${word.startsWith('tools.echo') ? 'tools.echo' : word},${typeof Object.getOwnPropertyDescriptor(first, 'description').value}${calls || ''}`);

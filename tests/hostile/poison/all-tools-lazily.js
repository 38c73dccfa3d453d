// Poisons what the list of tools is made with before it is made.
// expect: completes
// shows: echo
Object.defineProperty(Object.prototype, 'name', { configurable: true, set() { throw 1; }, get: () => 'forged' });
Object.defineProperty(Array.prototype, 0, { configurable: true, set() { throw 1; }, get: () => 'forged' });
const [{ name }] = ALL_TOOLS;
delete Object.prototype.name; delete Array.prototype[0];
text(name);

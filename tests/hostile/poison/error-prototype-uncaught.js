// Fails after poisoning all that is read of an error that nobody catches.
// expect: fails Error
for (const key of ['name', 'message', 'cause']) Object.defineProperty(Error.prototype, key, { configurable: true, get() { throw new Error('again'); } });
Object.defineProperty(Object.prototype, 'toString', { get() { throw 1; } });
throw new Error();

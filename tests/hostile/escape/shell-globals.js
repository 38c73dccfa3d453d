// Calls what V8's own shell and QuickJS's give to scripts.
// expect: completes
// shows: held
const names = ['print', 'printErr', 'write', 'read', 'readbuffer', 'readline', 'quit', 'testRunner', 'Realm', 'performance', 'Worker', 'os', 'd8', 'arguments', 'version', 'gc', 'std', 'scriptArgs', '__loadScript', 'bjson', 'loadScript', 'evalScript', '$262', 'DebuggerObject', 'drainJobQueue', 'ShadowRealm', 'Temporal', '_ivm', 'Deno', '__bootstrap', 'Bun', 'process', 'queueMicrotask', 'structuredClone', 'navigator', 'postMessage', 'onmessage', 'importScripts'];
const found = names.filter((name) => (0, eval)(`typeof ${name}`) !== 'undefined');
text(found.length ? found : 'held');

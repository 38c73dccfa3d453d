// Asks for structured call sites, and through them for functions of the host (vm2, CVE-2022-36067).
// expect: completes
// shows: held
let sites;
Error.prepareStackTrace = (_, all) => { sites = all; return 'mine'; };
const stack = new Error('e').stack;
await tools.fail('x').catch((e) => e.stack);
text(sites === undefined && stack.startsWith('Error: e\n    at cell.js:') ? 'held' : 'escaped');

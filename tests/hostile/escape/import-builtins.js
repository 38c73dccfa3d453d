// Imports what a runtime around V8 might know: modules of Node, Deno and QuickJS.
// expect: completes
// shows: held
const got = [];
for (const name of ['fs', 'node:fs', 'node:vm', 'std', 'os', 'bjson', 'ext:core/ops', 'ext:core/mod.js', 'internal:deno', 'npm:chalk', 'jsr:@std/fs', 'bun:ffi', 'deno:runtime', 'cloudflare:workers', 'isolated-vm']) {
  try { got.push(await import(name)); } catch (e) { if (e.constructor !== TypeError) got.push(e); }
}
text(got.length ? got.map(String) : 'held');

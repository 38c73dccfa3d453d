// Waits for a host that inspects what it shows (vm2, CVE-2023-37903).
// expect: completes
// shows: anything
let called = 0;
const trap = { [Symbol.for('nodejs.util.inspect.custom')]() { called++; }, [Symbol.for('Deno.customInspect')]() { called++; }, inspect() { called++; }, [Symbol.for('Deno.privateCustomInspect')]() { called++; } };
const error = Object.assign(new Error('x'), trap);
text(error); store('k', trap); try { await tools.echo(trap); } catch {}
text(called === 0 ? 'held' : called);

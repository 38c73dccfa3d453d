// Overflows the stack inside a native global, so that the error is made in the host's context (vm2, CVE-2021-23555).
// expect: completes
// shows: held
const errors = new Set();
const dig = () => { try { dig(); } catch (e) { errors.add(e.constructor); throw e; } };
for (const last of [() => tools.echo({}), () => store('k', {}), () => load('k'), () => image(1), () => setTimeout(1), () => notify('')]) {
  const fall = () => { try { fall(); } catch (e) { try { last(); } catch (f) { errors.add(f?.constructor); } throw e; } };
  try { fall(); } catch (e) { errors.add(e.constructor); }
}
text([...errors].every((C) => C === RangeError || C === TypeError) ? 'held' : [...errors].map(String));

// isolated-vm: V8 isolates in a process of Node. By its own asynchronous interface, as a server would use it.
import { ALL, LOOP, echo, load, timedBothWays, times } from './timing.mjs';

const ivm = load('isolated-vm');

/** Runs `source` in a new context where `echo` crosses to Node's thread and back, its argument and its result copied. */
async function nested(source) {
  const { call, between } = echo();
  const context = await kept.createContext();
  await context.global.set('$host', new ivm.Reference(call));
  await context.eval(
    'const $how = { arguments: { copy: true }, result: { promise: true, copy: true } };' +
      'globalThis.echo = (value) => $host.apply(undefined, [value], $how);',
  );
  const result = await context.eval(source, { promise: true });
  if (result !== 'done') throw new Error(`the snippet gave ${result}`);
  context.release();
  return between;
}

const kept = new ivm.Isolate();

const figures = {
  ...(await timedBothWays('isolate', 100, async () => {
    const isolate = new ivm.Isolate();
    const context = await isolate.createContext();
    await context.eval("'hi'");
    isolate.dispose();
  })),
  ...(await timedBothWays('context', 500, async () => {
    const context = await kept.createContext();
    await context.eval("'hi'");
    context.release();
  })),
  nested: (await nested(LOOP(times(1000))))(),
  all: (await nested(ALL(times(50))))(100),
};
console.log(JSON.stringify(figures));

// quickjs-emscripten: QuickJS as WebAssembly, on Node's own thread.
import { ALL, LOOP, echo, load, timedBothWays, times } from './timing.mjs';

const { getQuickJS } = load('quickjs-emscripten');
const quickjs = await getQuickJS();

/** Runs `source` in a new context where `echo` gives a promise that the host settles. */
async function nested(source) {
  const { call, between } = echo();
  const context = kept.newContext();
  const give = context.newFunction('echo', (handle) => {
    const value = context.dump(handle);
    const deferred = context.newPromise();
    call(value).then((result) => {
      const answer = context.unwrapResult(context.evalCode(`(${JSON.stringify(result)})`));
      deferred.resolve(answer);
      answer.dispose();
    });
    deferred.settled.then(context.runtime.executePendingJobs);
    return deferred.handle;
  });
  context.setProp(context.global, 'echo', give);
  give.dispose();
  const promise = context.unwrapResult(context.evalCode(source));
  const settled = context.resolvePromise(promise);
  promise.dispose();
  context.runtime.executePendingJobs();
  const result = context.unwrapResult(await settled);
  if (context.dump(result) !== 'done') throw new Error('the snippet gave something else');
  result.dispose();
  // Not disposed of: some of the last promises may not have settled here yet.
  return between;
}

function snippet(context) {
  context.unwrapResult(context.evalCode("'hi'")).dispose();
  context.dispose();
}

const kept = quickjs.newRuntime();

const figures = {
  // This makes a runtime too.
  ...(await timedBothWays('runtime', 500, () => snippet(quickjs.newContext()))),
  ...(await timedBothWays('context', 500, () => snippet(kept.newContext()))),
  nested: (await nested(LOOP(times(1000))))(),
  all: (await nested(ALL(times(50))))(100),
};
console.log(JSON.stringify(figures));

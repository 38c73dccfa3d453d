// What the peers' drivers have in common. `node DRIVER.mjs FOLDER DIVISOR`: FOLDER has the `node_modules`, and a DIVISOR above 1
// does less work. Figures go to stdout as one JSON object, in milliseconds.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [folder, divisor] = process.argv.slice(2);

export const load = createRequire(join(folder, 'here.cjs'));

export const times = (full) => Math.max(3, Math.floor(full / Number(divisor)));

export const median = (samples) => samples.sort((a, b) => a - b)[samples.length >> 1];

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The median of `count` times that `run` takes, after some that do not count. `pauseMs` lie before each. */
export async function timed(count, run, pauseMs) {
  const samples = [];
  for (let i = 0; i < count + 5; i++) {
    if (pauseMs) await sleep(pauseMs);
    const began = performance.now();
    await run();
    samples.push(performance.now() - began);
  }
  return median(samples.slice(5));
}

export const PAUSE_MS = 5;

/** What `run` takes one time after the other, and what it takes after a pause. */
export const timedBothWays = async (name, count, run) => ({
  [name]: await timed(times(count), run),
  [`${name}_paced`]: await timed(times(100), run, PAUSE_MS),
});

/** A host function that is async, answers at once with what it is given, and notes when it was called. */
export function echo() {
  const calls = [];
  const call = async (value) => {
    calls.push(performance.now());
    return value;
  };
  /** The median time from one call to the next, or from the first of some that are made together to the first of the next. */
  const between = (together = 1) => {
    const first = calls.filter((_, i) => i % together === 0);
    return median(first.slice(1).map((call, i) => call - first[i]));
  };
  return { call, between };
}

/** Calls one after the other. */
export const LOOP = (count) =>
  `(async () => { for (let i = 0; i < ${count}; i++) await echo({ i, text: 'hello' }); return 'done'; })()`;

/** A hundred calls at a time. */
export const ALL = (count) => `(async () => {
  for (let n = 0; n < ${count}; n++) {
    await Promise.all(Array.from({ length: 100 }, (_, i) => echo({ i, text: 'hello' })));
  }
  return 'done';
})()`;

// Walks all that a cell can get hold of and shows it, a line for each property. Takes what it needs of the language before
// anything else, for it walks over that too.
const { getOwnPropertyDescriptor, getPrototypeOf } = Object;
const { ownKeys, apply } = Reflect;
const sourceOf = (f) => apply(Function.prototype.toString, f, []);

const paths = new Map();
const queue = [];
const lines = [];

const isObject = (value) => (typeof value === 'object' && value !== null) || typeof value === 'function';

// The same in every run: no times, no random parts.
function describe(value) {
  switch (typeof value) {
    case 'function': {
      const native = /\{\s*\[native code\]\s*\}$/.test(sourceOf(value));
      return `function ${String(getOwnPropertyDescriptor(value, 'name')?.value) || '(anonymous)'}${native ? '' : ', in JavaScript'}`;
    }
    case 'object': return value === null ? 'null' : Array.isArray(value) ? 'array' : 'object';
    case 'string': return value.length > 40 ? 'string' : JSON.stringify(value);
    case 'symbol': return String(value);
    case 'bigint': return `${value}n`;
    default: return String(value);
  }
}

function found(path, value) {
  if (!isObject(value)) return lines.push(`${path}: ${describe(value)}`);
  const known = paths.get(value);
  if (known !== undefined) return lines.push(`${path} = ${known}`);
  lines.push(`${path}: ${describe(value)}`);
  paths.set(value, path);
  queue.push(value);
}

const isName = (key) => /^[A-Za-z_$][\w$]*$/.test(key);

function step(path, key) {
  if (typeof key === 'symbol') return `${path}[${key.description}]`;
  return isName(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
}

// What an accessor gives for the object it is found on.
function read(path, getter, object) {
  let value;
  try { value = apply(getter, object, []); } catch (error) { value = getPrototypeOf(error); }
  if (isObject(value) && !paths.has(value)) found(`${path}()`, value);
}

// First all that is simply there, so that things have their plain names; then what accessors give.
function walk() {
  const accessors = [];
  while (queue.length > 0 || accessors.length > 0) {
    if (queue.length === 0) { read(...accessors.shift()); continue; }
    const object = queue.shift();
    const path = paths.get(object);
    const isFunction = typeof object === 'function';
    for (const key of ownKeys(object)) {
      // The line of the function has said so.
      if (isFunction && (key === 'name' || key === 'length')) continue;
      const property = getOwnPropertyDescriptor(object, key);
      const name = step(path, key);
      if ('value' in property) { found(name, property.value); continue; }
      for (const half of ['get', 'set']) if (property[half]) found(`${name}.${half}`, property[half]);
      if (property.get) accessors.push([name, property.get, object]);
    }
    const proto = getPrototypeOf(object);
    if (!isFunction || proto !== Function.prototype) found(`${path}.__proto__`, proto);
    // Accessors that it inherits answer for it too.
    for (let from = proto, depth = 0; from && depth < 8; from = getPrototypeOf(from), depth++) {
      for (const key of ownKeys(from)) {
        const getter = getOwnPropertyDescriptor(from, key)?.get;
        if (getter) accessors.push([step(path, key), getter, object]);
      }
    }
  }
}

async function thrown(attempt) {
  try { await attempt(); } catch (error) { return error; }
  return 'nothing was thrown';
}

const roots = {
  __proto__: null,
  'a tool': tools.echo,
  'the promise of a call': tools.echo(1),
  'a result': await tools.echo({ list: [1], object: { a: null } }),
  'a failed call': await thrown(() => tools.fail()),
  'a call with no JSON': await thrown(() => tools.echo(() => 1)),
  'a stored value': (store('k', [{}]), load('k')),
  'as_settled()': as_settled([1]),
  'one settled': await (async () => { for await (const one of as_settled([1])) return one; })(),
  'one rejected': await (async () => { for await (const one of as_settled([Promise.reject(new Error('e'))])) return one; })(),
  'stream_settled()': stream_settled([1], (one) => { roots['a callback'] = one; }),
  'a timer': setTimeout(() => {}, 1e6),
  'what text() returns': text(''),
  'what image() throws': await thrown(() => image(1)),
  'what content() throws': await thrown(() => content(1)),
  'what store() throws': await thrown(() => store('k', undefined)),
  'what setTimeout() throws': await thrown(() => setTimeout()),
  'what notify() throws': await thrown(() => notify(' ')),
  'what load() throws': await thrown(() => load(Symbol())),
  'what new text() throws': await thrown(() => new text()),
  'what ArrayBuffer throws': await thrown(() => new ArrayBuffer(8, { maxByteLength: 16 })),
  'what import() throws': await thrown(() => import('fs')),
  'what importing the cell throws': await thrown(() => import('cell.js')),
  'import.meta': import.meta,
  'this of the module': this,
  'this of a sloppy function': Function('return this')(),
  'this in eval': (0, eval)('this'),
  'a syntax error': await thrown(() => eval('{')),
  'a stack overflow': await thrown(() => { const f = () => f(); f(); }),
  'an engine error': await thrown(() => null.x),
  'an error of a getter': await thrown(() => Map.prototype.size),
  'an aggregate error': await thrown(() => Promise.any([Promise.reject(1)])),
  'a suppressed error': await thrown(() => { using _ = { [Symbol.dispose]() { throw 1; } }; throw 2; }),
  'a captured stack': (() => { const o = {}; Error.captureStackTrace(o); return o; })(),
  'what prepareStackTrace was given': (() => {
    let given = 'it was not called';
    Error.prepareStackTrace = (...all) => { given = all; };
    void new Error('e').stack;
    void tools.fail().catch((e) => e.stack);
    delete Error.prepareStackTrace;
    return given;
  })(),
  'what a conversion of call sites was given': (() => {
    const given = [];
    const take = { configurable: true, value() { given.push(this); return ''; } };
    Object.defineProperty(Object.prototype, Symbol.toPrimitive, take);
    void new Error('e').stack;
    delete Object.prototype[Symbol.toPrimitive];
    return given;
  })(),
  'sloppy arguments': Function('return arguments')(),
  'strict arguments': (function () { 'use strict'; return arguments; })(),
  'the caller of a sloppy function': Function('return arguments.callee.caller')(),
  'an arrow function': () => 1,
  'a method': ({ m() {} }).m,
  'a class': class { static #p; },
  'an async function': async () => 1,
  'a generator function': function* () {},
  'an async generator function': async function* () {},
  'a generator': (function* () {})(),
  'an async generator': (async function* () {})(),
  'an array iterator': [].values(),
  'a string iterator': ''[Symbol.iterator](),
  'a map iterator': new Map().entries(),
  'a set iterator': new Set().values(),
  'a match iterator': ''.matchAll(/a/g),
  'a match': /(?<a>.)/d.exec('x'),
  'an iterator helper': [].values().map((x) => x),
  'a wrapped iterator': Iterator.from({ next() {} }),
  'a template': ((strings) => strings)`a${1}`,
  'a proxy': Proxy.revocable({}, {}),
  'a bound function': (() => 1).bind(),
  'a promise with resolvers': Promise.withResolvers(),
  'a promise capability': (() => {
    let executor;
    function Mine(f) { executor = f; f(() => {}, () => {}); }
    Promise.resolve.call(Mine, 1);
    return executor;
  })(),
  'a thenable was given': await (async () => {
    let given;
    await { then(...all) { given = all; all[0](); } };
    return given;
  })(),
  'the promise that as_settled waits for': await (async () => {
    const seen = [];
    const own = Object.getOwnPropertyDescriptor(Promise.prototype, 'constructor');
    Object.defineProperty(Promise.prototype, 'constructor', { configurable: true, get() { seen.push(getPrototypeOf(this)); return Promise; } });
    for await (const _ of as_settled([tools.echo(1), 2])) ;
    Object.defineProperty(Promise.prototype, 'constructor', own);
    return [...new Set(seen)];
  })(),
  'a buffer': new Uint8Array(1).buffer,
  'the constructor of a buffer': new DataView(new ArrayBuffer(1)).buffer.constructor,
  'a segment': [...new Intl.Segmenter().segment('a')],
  'segments': new Intl.Segmenter().segment('a'),
  'segment iterator': new Intl.Segmenter().segment('a')[Symbol.iterator](),
  'a date format': new Intl.DateTimeFormat(),
  'a bound format': new Intl.NumberFormat().format,
  'a collator': new Intl.Collator().compare,
  'a raw number': JSON.rawJSON('1'),
  'a reviver was given': (() => { let all; JSON.parse('{"a":1}', function (...given) { all ??= [this, ...given]; return 1; }); return all; })(),
  'a weak reference': new WeakRef({}),
  'a registry': new FinalizationRegistry(() => {}),
  'a disposable stack': new DisposableStack(),
  'an async disposable stack': new AsyncDisposableStack(),
};

lines.push('# All that a cell reaches: `path: what it is`, or `path = where it was met before`. Written by the test beside it.', '');
found('globalThis', globalThis);
walk();
for (const name of ownKeys(roots)) {
  lines.push('', `# ${name}`);
  found(`<${name}>`, roots[name]);
  walk();
}
text(lines.join('\n'));

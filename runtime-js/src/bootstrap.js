// Runs once in every new realm, before the cell. What it uses of the language is captured here, so that a cell which
// replaces a global or a prototype's method changes nothing for this code.
(function (kindOf, promiseHint) {
  'use strict';
  const { apply, construct, getPrototypeOf } = Reflect;
  const uncurry = (method) => (self, ...args) => apply(method, self, args);
  const { stringify, rawJSON, isRawJSON } = JSON;
  const { isArray, from: arrayFrom } = Array;
  const ObjectPrototype = Object.prototype;
  const { defineProperty, keys: objectKeys, getOwnPropertyNames: objectNames } = Object;
  const StringOf = String;
  const TypeErrorOf = TypeError;
  const PromiseOf = Promise;
  const then = uncurry(Promise.prototype.then);
  const promiseResolve = Promise.resolve;
  const mapForEach = uncurry(Map.prototype.forEach);
  const setForEach = uncurry(Set.prototype.forEach);
  const dateText = uncurry(Date.prototype.toISOString);
  const dateTime = uncurry(Date.prototype.getTime);
  const regExpSource = uncurry(RegExp.prototype.toString);
  const symbolText = uncurry(Symbol.prototype.toString);
  const byteView = Uint8Array;

  // 33 KB were seen for a date format, the largest of them.
  const INTL_BYTES = 40 << 10;

  // V8's own console goes nowhere without an inspector; a cell that has one gets ours.
  delete globalThis.console;
  delete globalThis.WebAssembly;
  delete globalThis.SharedArrayBuffer;
  delete globalThis.Atomics;
  // V8's own, from before there was a standard, with a copy of a text in each that nothing can count.
  delete Intl.v8BreakIterator;

  // A resizable buffer takes its memory past the allocator that keeps the cell's budget: V8 maps it by itself. So there
  // are none. The options are read here, once, and never handed on.
  {
    const FixedArrayBuffer = ArrayBuffer;
    const refuse = (options) => {
      if (typeof options === 'object' && options !== null && options.maxByteLength !== undefined) {
        throw new TypeErrorOf('a cell has no resizable array buffers; make a new one and copy');
      }
    };
    globalThis.ArrayBuffer = new Proxy(FixedArrayBuffer, {
      __proto__: null,
      construct(target, args, newTarget) {
        refuse(args[1]);
        return construct(target, [args[0]], newTarget);
      },
    });
    FixedArrayBuffer.prototype.constructor = globalThis.ArrayBuffer;
  }

  // What ICU keeps for an object of Intl lies outside of the heap, and nobody counts it: a segmented text is copied, and a
  // date format takes 30 KB for a hundred bytes of heap. So each drags along a buffer of that size, never touched, which the
  // allocator counts and which makes the collector as eager as the real thing should.
  {
    const dragged = new WeakMap();
    const mapGet = uncurry(WeakMap.prototype.get);
    const mapSet = uncurry(WeakMap.prototype.set);
    const weigh = (object, bytes) => {
      mapSet(dragged, object, { __proto__: null, bytes, buffer: new byteView(bytes) });
      return object;
    };
    const ProxyOf = Proxy;
    const wrap = (target, traps) => new ProxyOf(target, { __proto__: null, ...traps });
    const names = objectNames(Intl);
    for (let i = 0; i < names.length; i++) {
      const Original = Intl[names[i]];
      if (typeof Original !== 'function' || Original.prototype === undefined) continue;
      const counted = wrap(Original, {
        apply: (target, self, args) => weigh(apply(target, self, args), INTL_BYTES),
        construct: (target, args, newTarget) => weigh(construct(target, args, newTarget), INTL_BYTES),
      });
      defineProperty(Intl, names[i], { __proto__: null, value: counted });
      defineProperty(Original.prototype, 'constructor', { __proto__: null, value: counted });
    }
    const Segmenter = Intl.Segmenter.prototype;
    const replace = (object, key, traps) =>
      defineProperty(object, key, { __proto__: null, value: wrap(object[key], traps) });
    for (const key of ['maximize', 'minimize']) {
      replace(Intl.Locale.prototype, key, {
        apply: (target, self, args) => weigh(apply(target, self, args), INTL_BYTES),
      });
    }
    // Only now can a cell get at their prototype. To make one for it in each realm would load ICU's data, for 8 ms.
    let seen = false;
    const countIterators = (Segments) => {
      seen = true;
      replace(Segments, Symbol.iterator, {
        apply: (target, self, args) => weigh(apply(target, self, args), mapGet(dragged, self).bytes),
      });
    };
    replace(Segmenter, 'segment', {
      apply(target, self, args) {
        const text = `${args[0]}`;
        const segments = apply(target, self, [text]);
        weigh(segments, 2 * text.length + INTL_BYTES);
        if (!seen) countIterators(getPrototypeOf(segments));
        return segments;
      },
    });
  }

  const put = (object, key, value) =>
    defineProperty(object, key, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
  const push = (array, value) => put(array, array.length, value);

  // The kinds that `kindOf` tells apart, natively and therefore for certain.
  const MAP = 1, SET = 2, ERROR = 3, BYTES = 4, ELEMENTS = 5, REGEXP = 6, PROMISE = 7, DATE = 8;

  function errorFields(error) {
    const fields = { __proto__: null };
    const { name, message, cause } = error;
    put(fields, 'name', StringOf(name));
    put(fields, 'message', StringOf(message));
    if (cause !== undefined) put(fields, 'cause', cause);
    const own = objectKeys(error);
    for (let i = 0; i < own.length; i++) {
      const key = own[i];
      if (key !== 'stack') put(fields, key, error[key]);
    }
    return fields;
  }

  function mapFields(map) {
    let named = true;
    mapForEach(map, (_, key) => { if (typeof key !== 'string') named = false; });
    const fields = named ? { __proto__: null } : [];
    mapForEach(map, (value, key) => {
      if (named) put(fields, key, value);
      else push(fields, [key, value]);
    });
    return fields;
  }

  // What JSON has no word for, in words that it has. `shown` tells text for a model from a value for a program.
  function readable(value, shown) {
    switch (typeof value) {
      case 'bigint': return rawJSON(StringOf(value));
      case 'function': return shown ? functionText(value) : value;
      case 'symbol': return shown ? symbolText(value) : value;
      case 'number': return shown && value - value !== 0 ? StringOf(value) : value;
      case 'object': break;
      default: return value;
    }
    if (value === null || isArray(value) || getPrototypeOf(value) === ObjectPrototype || isRawJSON(value)) return value;
    switch (kindOf(value)) {
      case MAP: return mapFields(value);
      case SET: {
        const items = [];
        setForEach(value, (item) => { push(items, item); });
        return items;
      }
      case ERROR: return errorFields(value);
      case BYTES: return arrayFrom(new byteView(value));
      case ELEMENTS: return arrayFrom(value);
      case REGEXP: return regExpSource(value);
      case PROMISE:
        if (shown) return promiseHint;
        throw new TypeErrorOf('the value holds a Promise; await it first');
      default: return value;
    }
  }

  function functionText(value) {
    const { name } = value;
    return typeof name === 'string' && name !== '' ? `[Function: ${name}]` : '[Function]';
  }

  const forProgram = (key, value) => readable(value, false);
  const forModel = (key, value) => readable(value, true);

  // The value as JSON text; undefined where it has none.
  function toJson(value) {
    return stringify(value, forProgram);
  }

  // The value as a model should read it. Strings stand as they are.
  function render(value) {
    switch (typeof value) {
      case 'string': return value;
      case 'bigint': case 'boolean': case 'undefined': return StringOf(value);
      case 'number': return value === 0 && 1 / value < 0 ? '0' : StringOf(value);
      case 'symbol': return symbolText(value);
      case 'function': return functionText(value);
    }
    if (value === null) return 'null';
    switch (kindOf(value)) {
      case ERROR: return errorText(value, 0);
      case PROMISE: return promiseHint;
      case REGEXP: return regExpSource(value);
      case DATE: return dateTime(value) === dateTime(value) ? dateText(value) : 'Invalid Date';
    }
    const json = stringify(value, forModel);
    return json === undefined ? 'undefined' : json;
  }

  function errorText(error, depth) {
    const { stack, cause } = error;
    let text = typeof stack === 'string' && stack !== '' ? stack : `${error.name}: ${error.message}`;
    if (cause !== undefined && depth < 8) {
      text += '\nCaused by: ' + (typeof cause === 'object' && cause !== null && kindOf(cause) === ERROR
        ? errorText(cause, depth + 1) : render(cause));
    }
    return text;
  }

  // Settled results in the order in which they settle.
  function settled(promises) {
    const ready = [];
    let count = 0, taken = 0, wake;
    for (const promise of promises) {
      const index = count++;
      const announce = (result) => {
        push(ready, result);
        if (wake) { const w = wake; wake = undefined; w(); }
      };
      then(apply(promiseResolve, PromiseOf, [promise]),
        (value) => announce({ index, status: 'fulfilled', value }),
        (reason) => announce({ index, status: 'rejected', reason }));
    }
    return {
      more: () => taken < count,
      next: async () => {
        if (taken === ready.length) await new PromiseOf((resolve) => { wake = resolve; });
        return ready[taken++];
      },
    };
  }

  const globals = {
    as_settled(promises) {
      const results = settled(promises);
      return (async function* () {
        while (results.more()) yield await results.next();
      })();
    },
    async stream_settled(promises, callback) {
      if (typeof callback !== 'function') throw new TypeErrorOf('stream_settled requires a callback');
      const results = settled(promises);
      while (results.more()) await callback(await results.next());
    },
  };
  put(globalThis, 'as_settled', globals.as_settled);
  put(globalThis, 'stream_settled', globals.stream_settled);
  return { __proto__: null, render, toJson, nothing() {} };
})

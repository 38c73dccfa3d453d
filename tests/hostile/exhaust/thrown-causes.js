// Throws an error with a hundred thousand causes.
// expect: fails Error: 99999
let e = new Error('first'); for (let i = 0; i < 1e5; i++) e = new Error(String(i), { cause: e });
throw e;

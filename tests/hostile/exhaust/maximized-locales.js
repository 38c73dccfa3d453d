// Keeps locales that are made from another one, and not by a constructor.
// expect: fails ArrayBufferLimitExceeded
const kept = [], locale = new Intl.Locale('en');
for (;;) kept.push(locale.maximize(), locale.minimize());

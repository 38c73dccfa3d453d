// Goes around the counting of Intl's memory by the constructors' own prototypes.
// expect: completes
// shows: held
const F = Object.getPrototypeOf(new Intl.NumberFormat()).constructor;
const S = Intl.Segmenter.prototype.constructor;
const bare = Reflect.construct(Intl.Collator, [], Object);
text(F === Intl.NumberFormat && S === Intl.Segmenter && typeof bare === 'object' ? 'held' : 'another constructor');

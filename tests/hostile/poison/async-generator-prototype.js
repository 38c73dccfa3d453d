// Replaces the methods of the generator that as_settled returns.
// expect: completes
// shows: 12
const proto = Object.getPrototypeOf(Object.getPrototypeOf(as_settled([])));
const own = proto.next;
proto.next = function (...all) { return Reflect.apply(own, this, all); };
proto.return = proto.throw = () => { throw new Error('evil'); };
delete Object.getPrototypeOf(proto)[Symbol.asyncIterator];
Object.getPrototypeOf(proto)[Symbol.asyncIterator] = function () { return this; };
let out = ''; for await (const r of as_settled([1, 2])) out += r.value;
text(out);

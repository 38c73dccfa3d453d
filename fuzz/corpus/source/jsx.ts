const a = <any>1;
const f = <T,>(x: T): x is T => true;
text(f(a))
interface A { x: number }
enum E { A = 1, B }
const a: A = { x: E.B as number };
text(a!.x satisfies number)
// Is in the constructor that makes the result of a method.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
class A extends Array { static get [Symbol.species]() { for (;;); } } new A(1).map((x) => x);

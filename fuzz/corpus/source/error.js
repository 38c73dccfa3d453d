function f() {
  throw new TypeError('x')
}
f()
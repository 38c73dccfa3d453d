use expect_test::expect;

use super::run;

#[test]
fn types_are_erased_and_enums_compiled() {
    expect![["B 1 2 true 3\n"]].assert_eq(&run("enum Kind { A, B }
         const enum Inline { Two = 2 }
         namespace Space { export const three = 3 }
         interface Shape { name: string; size?: number }
         type Pair<T> = [T, T];
         abstract class Base<T> { constructor(protected readonly value: T) {} abstract get(): T }
         class Derived extends Base<boolean> { get(): boolean { return this.value! } }
         function generic<T extends Shape>(x: T): T { return x satisfies Shape as T }
         const pair: Pair<number> = [1, 2];
         text([Kind[1], pair[0], Inline.Two, new Derived(true).get(), Space.three].join(' '))"));
}

#[test]
fn positions_are_those_of_the_source() {
    expect![[r#"
        ! TypeError: Cannot read properties of undefined (reading 'length')
         --> cell.js:7:19
        7 |   return x.deeper.length;
          |                   ^
            at measure (cell.js:7:19)
            at cell.js:9:1
    "#]]
    .assert_eq(&run("interface Thing {
  name: string;

  deeper?: string;
}
function measure(x: Thing): number {
  return x.deeper.length;
}
measure({ name: 'x' } as Thing);"));
}

#[test]
fn syntax_errors_have_positions() {
    expect![[r#"
        ! SyntaxError: Unexpected token ';'
         --> cell.js:2:13
        2 |   const b = ;
          |             ^
    "#]]
    .assert_eq(&run("const a = 1;\n  const b = ;"));
    expect![[r#"
        ! SyntaxError: Unexpected token
         --> cell.js:2:21
        2 |   const b: number = ;
          |                     ^
    "#]]
    .assert_eq(&run("const a = 1;\n  const b: number = ;"));
}

function d(v: any, c: any) { return v }
@d class A { @d m() {} declare x: string; accessor y = 1 }
text(new A().y)
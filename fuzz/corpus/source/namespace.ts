namespace N { export const x = 1 }
text(N.x);
abstract class C<T> { constructor(private readonly t: T) {} get v(): T { return this.t } }
text(new (class extends C<number> {})(2).v)
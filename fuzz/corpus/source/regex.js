text(/[/\]]+/v.test('a') ? 1 : 2);
for await (const x of [1, 2]) { if (x > 1) break; text(x) }
const r = await tools.echo({a: 1});
text(r)
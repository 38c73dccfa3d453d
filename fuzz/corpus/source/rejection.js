Promise.reject(new Error('late'));
await new Promise(r => setTimeout(r, 1))
await tools.echo(undefined).then(x => x.y.z)
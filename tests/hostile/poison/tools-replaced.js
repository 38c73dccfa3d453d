// Replaces a tool for the cells that come after it.
// expect: completes
// shows: forged,forged,undefined
tools.echo = () => 'forged'; Object.defineProperty(tools, 'later', { get: () => () => 'forged' }); delete tools.fail;
Object.setPrototypeOf(tools, { extra: 1 });
text([tools.echo(), tools.later(), typeof tools.fail].join());
// next cell
// expect: completes
// shows: real,real,function,undefined
text([await tools.echo('real'), await tools.later('real'), typeof tools.fail, typeof tools.extra].join());

// Walks over the words of a long text.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for (;;) for (const _ of new Intl.Segmenter('en', { granularity: 'word' }).segment('a b '.repeat(1000)));

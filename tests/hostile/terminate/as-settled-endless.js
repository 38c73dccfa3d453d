// Has as_settled read a list without end.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
as_settled({ [Symbol.iterator]: () => ({ next() { for (;;); } }) });
for await (const _ of as_settled({ [Symbol.iterator]: () => ({ next() { for (;;); } }) }));

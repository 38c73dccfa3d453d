// Is in a conversion to the name of a property.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
({})[{ [Symbol.toPrimitive]() { for (;;); } }];

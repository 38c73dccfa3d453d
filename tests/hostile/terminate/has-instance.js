// Is in the method behind `instanceof`.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
({}) instanceof { [Symbol.hasInstance]() { for (;;); } };

// Is in the disposal of a resource that waits.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
{ await using resource = { async [Symbol.asyncDispose]() { for (;;) await null; } }; }

// Is in the conversion of what is to be imported.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
await import({ toString() { for (;;); } });

// Is in the disposal of a resource at the end of a block.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
{ using resource = { [Symbol.dispose]() { for (;;); } }; }

// Is in a getter of a hint.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
generatedImage({ image_url: 'data:x', get output_hint() { for (;;); } });

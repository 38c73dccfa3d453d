// Is in a getter of an image's parts.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
image({ get image_url() { for (;;); } });

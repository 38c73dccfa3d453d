// Has combining marks put in order, which takes time that grows with the square.
// isolation: process
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
'\u0301\u0316'.repeat(3e6).normalize('NFC');

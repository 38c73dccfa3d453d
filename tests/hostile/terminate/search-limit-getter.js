// Loops in what says how many tools to find.
// discovery: yes
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
search_tools('echo', { get limit() { for (;;); } });

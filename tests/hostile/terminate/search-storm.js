// Looks for tools, and has them described, again and again.
// discovery: yes
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
for (let i = 0; ; i++) { search_tools(`tool ${i}`, 50); describe_tool('echo'); }

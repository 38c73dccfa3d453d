// Is in the tag of a template.
// terminate: when it yields
// expect: terminated
// shows: go
text('go'); yield_control();
((strings) => { for (;;); })`a${1}b`;

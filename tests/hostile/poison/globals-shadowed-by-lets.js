// Shadows our globals in every scope that code of its own sees.
// expect: completes
// shows: held
(0, eval)('let tools_ = tools; var text_ = text;');
{ const text = () => { throw 1; }; const tools = null; void text; void tools; }
Function('text("held")')();

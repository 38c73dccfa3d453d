// Calls tools in one cell after the other until the session's calls are used up.
// session: toolCalls=5
// expect: completes
// shows: held
for (let i = 0; i < 4; i++) await tools.echo(i);
text('held');
// next cell
// expect: fails sessionBudgetExceeded
for (;;) { try { await tools.echo(1); } catch { for (;;); } }

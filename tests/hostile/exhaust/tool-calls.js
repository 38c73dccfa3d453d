// Calls tools for ever.
// limits: toolCalls=50
// expect: fails ToolCallLimitExceeded
for (;;) await tools.echo(1);

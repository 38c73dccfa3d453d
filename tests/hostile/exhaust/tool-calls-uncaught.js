// Calls tools for ever without waiting for any.
// limits: toolCalls=1000 openToolCalls=50
// expect: fails ToolCallLimitExceeded
for (;;) tools.never().catch(() => {});

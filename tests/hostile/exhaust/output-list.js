// Shows one block a thousand times, in one call.
// expect: fails OutputLimitExceeded
content(Array(1e5).fill({ type: 'text', text: 'x'.repeat(1e4) }));

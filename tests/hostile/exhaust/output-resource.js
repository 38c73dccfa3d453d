// Shows a resource that becomes a long text only when it is read.
// expect: fails OutputLimitExceeded
content({ type: 'resource', toJSON: () => ({ type: 'resource', text: 'x'.repeat(2e6) }) });

// Has a module linked by exporting from it.
// expect: fails Unsupported import in exec: std
export * from 'std';
text('linked');

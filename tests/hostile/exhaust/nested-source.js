// Is nested too deep to be parsed.
// expect: fails RangeError: Maximum call stack
text((0, eval)('['.repeat(1e5)));

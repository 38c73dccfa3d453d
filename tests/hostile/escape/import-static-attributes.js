// Imports a file as JSON.
// expect: fails Unsupported import in exec: /etc/passwd
import data from '/etc/passwd' with { type: 'json' };
text(data);

// Imports statically, which is resolved before any code runs.
// expect: fails Unsupported import in exec: node:fs
import fs from 'node:fs';
text(fs);

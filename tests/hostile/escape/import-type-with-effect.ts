// Hides an import from the plain reading among types, for the other.
// expect: fails Unsupported import in exec: node:os
import os, { type Foo } from 'node:os';
const x: Foo = os;
text(x);

import type { T } from 'x';
import y from 'y';

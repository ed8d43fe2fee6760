import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The top of the workspace. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** The Node that the workspace pins, once it is installed. */
export const PINNED_NODE = join(ROOT, 'node_modules', '.bin', 'node');

/** Where everything lies that is made here and not committed. */
export const LOCAL = join(ROOT, '.local');

export type { ReleaseReport } from './inbox-port.js';

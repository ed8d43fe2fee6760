export type { Outcome } from './inbox-port.js';

export { HandleEvent } from './handle-event.js';
export type { EventHandler } from './handle-event.js';
export type { ReceivedEvent } from './received-event.js';
export type { Transaction } from './transaction.js';

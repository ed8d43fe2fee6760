export type { AdminTarget } from './admin-connection.js';
export { discardSetAside, listConsumers, listSetAside, retrySetAside, thawPartition } from './inbox-admin.js';
export type { AdminRequest, DiscardedEvent, SelectionRequest, SetAsideEvent, SetAsideFilter } from './inbox-admin.js';
export { InboxError } from './inbox.errors.js';
export type { InboxErrorCode } from './inbox.errors.js';

export { toEpoch, toEventId, toPosition } from './envelope.js';
export type { Epoch, EventId, OutboxEvent, Position } from './envelope.js';
export { HEADER, isReservedHeader } from './headers.js';

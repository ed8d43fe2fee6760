export type { SinkFeatures, SinkHeader, SinkLane, SinkPort, SinkReceipt, SinkRecord, SinkTopic } from './sink-port.js';
export { SinkError } from './transport.errors.js';
export type { SinkErrorCode, SinkOutcome } from './transport.errors.js';

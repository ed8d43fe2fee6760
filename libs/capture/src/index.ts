export { CAPTURE_MODES } from './capture-port.js';
export type {
  AuditEntry,
  CapturedPage,
  CaptureMode,
  CapturePort,
  CaptureRequest,
  CaptureStatus,
  ClaimRequest,
  ClaimResult,
  PauseRequest,
  SettleResult,
  SlotStateName,
  SlotStatus,
  SourcePort,
  StartFrom,
} from './capture-port.js';
export type { CaptureChange, CaptureObserver } from './capture-observer.js';
export type { CaptureClock } from './capture-clock.js';
export { CaptureError } from './capture.errors.js';
export type { CaptureDisposition, CaptureErrorCode } from './capture.errors.js';
export { RowFilter } from './event-filter.js';
export type { EventFilter, HeaderValues } from './event-filter.js';
export { readIncidents } from './fork/incidents.js';
export type { Incident, IncidentsRequest, LostEvent } from './fork/incidents.js';
export type { ForkRepair, ForkReport, ForkStep, PublishedRecord } from './fork/fork-repair.js';
export { FirstPage } from './first-page.js';
export { changeHeld, countParked, HELD_STATES, listHeldKeys, listParked, previewHeld } from './held/held-admin.js';
export type {
  HeldAction,
  HeldActionResult,
  HeldCommand,
  HeldFilter,
  HeldKeyView,
  HeldPlace,
  HeldState,
  ParkedCode,
  ParkedEvent,
  ParkedRequest,
} from './held/held-admin.js';
export type {
  AggregateKey,
  ChainEvent,
  ChainRequest,
  ClaimedHeld,
  HeldChanges,
  HeldEvent,
  HeldKeyChange,
  HeldReader,
  RefusedAgain,
  Refusal,
  StoredHeldKey,
} from './held/held-events.js';
export type { GapBound, GapRange, LedgerState } from './ledger.js';
export { gapDelta, lowOf } from './ledger.js';
export type { LedgerClaim, LedgerClaimRequest, LedgerSaved, LedgerStorePort } from './ledger-store.js';
export { formatLsn } from './lsn.js';
export type {
  OutboxReaderPort,
  OutboxWriters,
  PolledRow,
  PollRequest,
  PollResult,
  SequenceReading,
} from './outbox-reader.js';
export type { LaneOffset, LedgerNotes, StoredLaneOffset } from './offsets/lane-offset.js';
export { polledRow } from './polled-row.js';
export { PollingCapture } from './polling-capture.js';
export type { PollingCaptureParts } from './polling-capture.js';
export { adoptLedger, createOutboxSource } from './outbox-source.js';
export type { AdoptRequest, OutboxSourceOptions } from './outbox-source.js';
export type { JoinRequest, RelayMember } from './relay-member.js';
export { ledgerName, SHARDS_MAX } from './route-shards.js';
export type { RouteShard, RouteShards, ShardProgress, ShardsRequest } from './route-shards.js';
export { LeftSlots } from './retention/left-slots.js';
export type { LeftSlotsParts } from './retention/left-slots.js';
export { archiveDirectoryProblem, archiveLeavesTo } from './retention/leaf-archive.js';
export type { ArchivedLeaf, LeafArchiveOptions } from './retention/leaf-archive.js';
export { acceptLeafCount, inspectLeafCount, letRouteGoOn } from './retention/retention-admin.js';
export type {
  AcceptLeafCountRequest,
  AcceptLeafCountResult,
  LeafCountDifference,
  LeafCountInspection,
  LetRouteGoOnRequest,
  LetRouteGoOnResult,
} from './retention/retention-admin.js';
export { createRetentionKeeper, RETENTION_INTERVAL_MS } from './retention/retention-keeper.js';
export type { ArchiveHook, LeafToArchive, RetentionKeeper, RetentionOptions } from './retention/retention-keeper.js';
export type {
  LeafEmptied,
  LeafObstacle,
  LeafWaiting,
  RetainedLeaf,
  RetentionAlarm,
  RetentionObserver,
  RetentionReport,
  RouteExpired,
  RouteHold,
  SlotLetGo,
} from './retention/retention-observer.js';
export { readRetentionStatus } from './retention/retention-status.js';
export type {
  LeafState,
  LeafStatus,
  RetentionStatus,
  RetentionStatusRequest,
  RouteRetention,
} from './retention/retention-status.js';
export { byteCount, bytesText, durationMs, durationText } from './retention/retention-units.js';
export { retentionProblems } from './retention/retention-policy.js';
export type { RetentionPolicy } from './retention/retention-policy.js';
export { DEFAULT_POLLING_OPTIONS } from './table-reader.js';
export type { PollingOptions } from './table-reader.js';

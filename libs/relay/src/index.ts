export type { HeldSummary } from './held/held-key.js';
export { DEFAULT_HELD_TUNING, POISON_POLICIES } from './held/poison-policy.js';
export type { HeldTuning, PoisonPolicy } from './held/poison-policy.js';
export { systemRelayClock, systemRelayRandom } from './relay-clock.js';
export type { RelayClock, RelayRandom, RelayTimer } from './relay-clock.js';
export { DEFAULT_SHARING_TUNING, preferredOwner } from './placement.js';
export type { RoutePlace, SharingTuning } from './placement.js';
export { RelayEngine } from './relay-engine.js';
export type { CaptureCommand, RelayEngineOptions, RouteCommand, ShardsCommand } from './relay-engine.js';
export { RelayError } from './relay.errors.js';
export type { RelayErrorCode } from './relay.errors.js';
export type {
  BatchSent,
  BreakerChange,
  EventRefused,
  ForkRepaired,
  LossAccepted,
  MembersChange,
  PageRead,
  PagesSettled,
  RelayObserver,
  SendFailed,
  StateChange,
  TailNotRead,
  TailsRead,
  ZombieRecords,
} from './relay-observer.js';
export { RecordEncoder } from './event-record.js';
export type { EncodedEvent, RecordOrigin } from './event-record.js';
export type { FixedFields } from './event-template.js';
export type { HeaderMapping } from './header-mapping.js';
export { CLOUD_EVENTS_MODES } from './payload-format.js';
export type { CloudEventsMode, PayloadFormat } from './payload-format.js';
export { DEFAULT_KEY_TEMPLATE, recordShapeProblems } from './record-shape.js';
export type { RecordShapeConfig, RecordShapeProblem } from './record-shape.js';
export { DEFAULT_ROUTE_TUNING, DEFAULT_TOPIC_TEMPLATE, parseRoute } from './route-config.js';
export type { Route, RouteConfig, RouteTuning } from './route-config.js';
export type { RouteCounts } from './route-meter.js';
export type { RouteProblem, RouteState } from './route-state.js';
export type { ClaimStatus, RouteStatus } from './route-status.js';
export { sendPolicyFor } from './send-policy.js';
export type { SendAction, SendErrorCode, SendPolicy } from './send-policy.js';
export type { SourceMembersStatus } from './source-members.js';
export { topicProblem } from './topic-naming.js';
export type { TopicNaming } from './topic-naming.js';
export { topicReplacementProblems } from './topic-replacement.js';
export type { ReplacementProblem, TopicReplacement } from './topic-replacement.js';
export { TopicTemplate, topicTemplateProblem } from './topic-template.js';

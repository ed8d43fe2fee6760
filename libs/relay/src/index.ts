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
  ForkRepaired,
  MembersChange,
  PageRead,
  PagesSettled,
  RelayObserver,
  SendFailed,
  StateChange,
} from './relay-observer.js';
export { DEFAULT_ROUTE_TUNING, DEFAULT_TOPIC_TEMPLATE, parseRoute } from './route-config.js';
export type { Route, RouteConfig, RouteTuning } from './route-config.js';
export type { RouteCounts } from './route-meter.js';
export type { RouteProblem, RouteState } from './route-state.js';
export type { ClaimStatus, RouteStatus } from './route-status.js';
export { sendPolicyFor } from './send-policy.js';
export type { SendAction, SendErrorCode, SendPolicy } from './send-policy.js';
export type { SourceMembersStatus } from './source-members.js';
export { topicProblem, TopicTemplate } from './topic-template.js';
export type { TopicParts } from './topic-template.js';

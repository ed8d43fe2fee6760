import { type SlotStateName } from '@millrace/capture';

/** All that `SlotStatus.state` can be; that none is missing, the type of the route's view holds. */
export const SLOT_STATES = [
  'idle',
  'looking',
  'creating',
  'ready',
  'failed',
  'let-go',
  'absent',
  'busy',
  'invalidated',
  'publication-missing',
  'publication-wrong',
  'publication-younger-than-slot',
  'ahead-of-us',
  'not-as-made',
  'wal-level',
  'no-slot-left',
  'not-allowed',
  'not-primary',
] as const satisfies readonly SlotStateName[];

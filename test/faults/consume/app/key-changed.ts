import { defineEvent } from '@millrace/events';
import { z } from 'zod';

/** A key has a new version. What a handler is asked for beside it is for the fault runs. */
export const KeyChanged = defineEvent({
  type: 'order.changed',
  schemaVersion: 1,
  aggregate: 'order',
  key: (payload) => payload.key,
  schema: z.object({
    key: z.string(),
    version: z.number().int(),
    workMs: z.number().optional(),
    failure: z.enum(['poisoned', 'transient']).optional(),
    locks: z.array(z.string()).optional(),
  }),
});

import { z } from 'zod';
import { reasonSchema } from '../routes/reason.js';
import { count } from '../routes/view-numbers.js';
import { heldStateSchema } from './parked-view.js';

const IDS_MAX = 1_000;

const actionSchema = z.enum(['retry', 'discard']);

/** What a person wants done with events that are held. */
export const parkedCommandSchema = z
  .strictObject({
    action: actionSchema,
    filter: z
      .strictObject({
        route: z.string().min(1).max(63),
        ids: z.array(z.uuid()).min(1).max(IDS_MAX).optional(),
        key: z
          .strictObject({ aggregateType: z.string().min(1).max(200), aggregateId: z.string().min(1).max(1_024) })
          .optional(),
        state: heldStateSchema.optional(),
        code: z.string().min(1).max(100).optional(),
      })
      .describe('events that meet every condition; with the route alone all of them, those included that only wait'),
    reason: reasonSchema,
    dryRun: z.boolean().default(false).describe('only tell how many it would be'),
    confirm: z
      .int()
      .min(0)
      .optional()
      .describe('as many as a dry run told; with another number nothing is done; needed to discard'),
  })
  .refine(({ action, dryRun, confirm }) => action === 'retry' || dryRun || confirm !== undefined, {
    path: ['confirm'],
    message: 'What is discarded is gone: look first with "dryRun": true, then give as confirm how many events it told.',
  });

export type ParkedCommand = z.infer<typeof parkedCommandSchema>;

export const parkedActionResultSchema = z
  .object({
    route: z.string(),
    action: actionSchema,
    dryRun: z.boolean(),
    events: count().describe('that meet the filter'),
    keys: count(),
    done: count(),
  })
  .meta({ title: 'ParkedAction' });

export type ParkedActionResult = z.infer<typeof parkedActionResultSchema>;

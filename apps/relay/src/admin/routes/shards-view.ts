import { type RouteShards } from '@millrace/capture';
import { z } from 'zod';
import { bigNumber } from './view-numbers.js';

const number = (): z.ZodInt => z.int().min(1).max(64);

const shardView = z.object({
  name: z.string().describe('the route of its records, its metrics and its own view; the "/" in it is %2F in a path'),
  low: bigNumber.describe('all positions at or below are settled'),
  relay: z.string().nullable().describe('who has the lease; null: nobody'),
  isPaused: z.boolean(),
  isDrained: z.boolean().describe('while the number changes: nothing is left to do for this shard'),
});

/** How a route is divided, as the admin API shows it. */
export const shardsViewSchema = z
  .object({
    route: z.string(),
    shards: number().describe('the number in force'),
    wanted: number().nullable().describe('the number that the route is on its way to; null: none'),
    fence: bigNumber
      .nullable()
      .describe('while on the way: every shard settles what is at or below, and nothing above'),
    members: z.array(shardView).describe('by number; while on the way those with isDrained false are waited for'),
  })
  .meta({ title: 'Shards' });

export type ShardsView = z.infer<typeof shardsViewSchema>;

/** What the source tells in the form of the API. */
export function shardsViewOf({ route, inForce, wanted, fence, shards }: RouteShards): ShardsView {
  return {
    route,
    shards: inForce,
    wanted,
    fence: fence === null ? null : String(fence),
    members: shards.map(({ name, low, owner, isPaused, isDrained }) => ({
      name,
      low: String(low),
      relay: owner,
      isPaused,
      isDrained,
    })),
  };
}

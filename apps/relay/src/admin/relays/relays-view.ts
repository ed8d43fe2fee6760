import { type RouteStatus, type SourceMembersStatus } from '@millrace/relay';
import { z } from 'zod';

const names = z.array(z.string());

const memberView = z.object({
  relay: z.string(),
  isSelf: z.boolean().describe('the relay that answers'),
  memberSeconds: z.number().describe("from when it joined to its last sign of life, on the source's clock"),
  configVersion: z.string().describe('routes are shared among relays with the same one'),
  preferredRoutes: names.describe('routes that this relay should run'),
  wants: names.describe('routes that it should run and another one still has'),
  stopped: names.describe('routes that it has stopped until a person resumes them there'),
});

const sourceView = z.object({
  source: z.string(),
  ageSeconds: z.number().nullable().describe('since the members were last read; null before the first time'),
  problem: z
    .object({ side: z.enum(['source', 'sink', 'relay']), code: z.string(), message: z.string() })
    .nullable()
    .describe('why they could not be read the last time'),
  members: z.array(memberView).describe('in the order in which they joined'),
});

/** The relays of every source as the admin API shows them. */
export const relaysViewSchema = z
  .object({ relay: z.string().describe('the relay that answers'), sources: z.array(sourceView) })
  .meta({ title: 'Relays' });

export type RelaysView = z.infer<typeof relaysViewSchema>;

/** What the engine knows of the other relays in the form of the API. */
export function relaysViewOf(
  owner: string,
  sources: readonly SourceMembersStatus[],
  routes: readonly RouteStatus[],
): RelaysView {
  const preferredBy = (relay: string, source: string): string[] =>
    routes.flatMap(({ route, ...status }) =>
      status.source === source && status.preferredOwner === relay ? [route] : [],
    );
  return {
    relay: owner,
    sources: sources.map(({ source, members, ageMs, problem }) => ({
      source,
      ageSeconds: ageMs === null ? null : ageMs / 1_000,
      problem,
      members: members.map((member) => ({
        relay: member.owner,
        isSelf: member.owner === owner,
        memberSeconds: member.memberForMs / 1_000,
        configVersion: member.configVersion,
        preferredRoutes: preferredBy(member.owner, source),
        wants: [...member.wants],
        stopped: [...member.stopped],
      })),
    })),
  };
}

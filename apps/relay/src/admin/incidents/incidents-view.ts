import { CaptureError, type Incident } from '@millrace/capture';
import { z } from 'zod';
import { bigNumber, count } from '../routes/view-numbers.js';

const incidentView = z.object({
  id: z.string(),
  at: z.iso.datetime(),
  kind: z
    .enum(['events_lost_by_database'])
    .describe('events that were published and that the database lost in a fail-over or restore'),
  route: z.string(),
  count: count().describe('all of them'),
  events: z
    .array(z.object({ position: bigNumber, id: z.string(), topic: z.string(), partition: z.int(), offset: bigNumber }))
    .describe('the first thousand, by position'),
});

const sourceView = z.object({
  source: z.string(),
  problem: z.object({ code: z.string(), message: z.string() }).nullable().describe('why they could not be read'),
  incidents: z.array(incidentView).describe('the newest first'),
});

/** The incidents of every source as the admin API shows them. */
export const incidentsViewSchema = z.object({ sources: z.array(sourceView) }).meta({ title: 'Incidents' });

export type IncidentsView = z.infer<typeof incidentsViewSchema>;

/** What was read of one source, or why it was not. */
export function sourceIncidentsView(
  source: string,
  read: PromiseSettledResult<readonly Incident[]>,
): IncidentsView['sources'][number] {
  if (read.status === 'fulfilled') {
    const incidents = read.value.map((incident) => ({
      ...incident,
      events: incident.events.map((event) => ({ ...event })),
    }));
    return { source, problem: null, incidents };
  }
  if (!(read.reason instanceof CaptureError)) {
    throw read.reason;
  }
  const { code, message } = read.reason;
  return { source, problem: { code, message }, incidents: [] };
}

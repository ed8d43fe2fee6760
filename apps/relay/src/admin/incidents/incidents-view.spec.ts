import { describe, expect, it } from '@jest/globals';
import { CaptureError, type Incident } from '@millrace/capture';
import { incidentsViewSchema, sourceIncidentsView } from './incidents-view.js';

const INCIDENT: Incident = {
  id: '1',
  at: '2026-11-21T20:15:00.123Z',
  kind: 'events_lost_by_database',
  route: 'order',
  count: 1,
  events: [{ position: '7', id: 'b0b8a1f0-0000-7000-8000-000000000000', topic: 't', partition: 0, offset: '3' }],
};

describe('the incidents of the admin API', () => {
  it('are shown as the database has them', () => {
    const view = sourceIncidentsView('db', { status: 'fulfilled', value: [INCIDENT] });
    expect(view).toEqual({ source: 'db', problem: null, incidents: [INCIDENT] });
    expect(incidentsViewSchema.safeParse({ sources: [view] }).success).toBe(true);
  });

  it('of a source that is away are none, with the reason', () => {
    const reason = new CaptureError('database_unavailable', 'Gone.');
    expect(sourceIncidentsView('db', { status: 'rejected', reason })).toEqual({
      source: 'db',
      problem: { code: 'database_unavailable', message: 'Gone.' },
      incidents: [],
    });
  });
});

import { expect, it } from '@jest/globals';
import { SINK_PROPERTIES, type SinkSubject, verdictOf } from '@millrace/testing';

/** One test for each property. Those that are not promised are named: a sink that promises less turns one red. */
export function itConforms(subject: () => SinkSubject, notPromised: readonly string[]): void {
  it.each(SINK_PROPERTIES)('$name', async (property) => {
    const verdict = await verdictOf(property, subject());
    const outcome = verdict.kind === 'failed' ? verdict.reason : verdict.kind;
    expect(outcome).toBe(notPromised.includes(property.name) ? 'not promised' : 'passed');
  });
}

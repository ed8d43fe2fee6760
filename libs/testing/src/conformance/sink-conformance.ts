import { FLOW_PROPERTIES } from './flow-properties.js';
import { ORDER_PROPERTIES } from './order-properties.js';
import { OUTAGE_PROPERTIES } from './outage-properties.js';
import { REFUSAL_PROPERTIES } from './refusal-properties.js';
import { type SinkProperty } from './sink-property.js';
import { SinkScene } from './sink-scene.js';
import { type SinkSubject } from './sink-subject.js';

/** What came of one property of one sink. `seen`: what was counted. `reason`: a sentence, or its end. */
export type SinkVerdict =
  | { readonly kind: 'passed'; readonly seen: string }
  | { readonly kind: 'not promised'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

/** All that the suite asks of a sink, in the order of the table. */
export const SINK_PROPERTIES: readonly SinkProperty[] = [
  ...ORDER_PROPERTIES,
  ...REFUSAL_PROPERTIES,
  ...FLOW_PROPERTIES,
  ...OUTAGE_PROPERTIES,
];

/** Asks one property of a sink that is the subject's own; never rejects. `passed` only after a check that ran to its end. */
export async function verdictOf(property: SinkProperty, subject: SinkSubject): Promise<SinkVerdict> {
  const scene = new SinkScene(subject);
  try {
    const reason = property.whyNotPromised(scene.create(), subject);
    if (reason !== null) {
      return { kind: 'not promised', reason };
    }
    return { kind: 'passed', seen: await property.check(scene) };
  } catch (error) {
    return { kind: 'failed', reason: error instanceof Error ? error.message : String(error) };
  } finally {
    await scene.close();
  }
}

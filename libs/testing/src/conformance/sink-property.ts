import { type SinkFeatures, type SinkPort } from '@millrace/transport';
import { type SinkScene } from './sink-scene.js';
import { type SinkSubject } from './sink-subject.js';

/** Something that a sink holds, or does not promise. */
export interface SinkProperty {
  readonly name: string;
  /** What holds, as a sentence. */
  readonly promise: string;
  /** Why a sink does not promise it, by what it declares; null where it does. */
  readonly whyNotPromised: (sink: SinkPort, subject: SinkSubject) => string | null;
  /** Throws when it does not hold. Returns what was seen, in a few words. */
  readonly check: (scene: SinkScene) => Promise<string>;
}

export function always(): null {
  return null;
}

/** Promised by sinks that declare it. */
export function declared(feature: keyof SinkFeatures, otherwise: string): SinkProperty['whyNotPromised'] {
  return ({ features }) => (features[feature] === true ? null : otherwise);
}

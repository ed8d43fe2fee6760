import { type Delivery, type SinkPort } from '@millrace/transport';

/** All that a topic has stored, read by a sink of its own. */
export async function readBackAll(sink: SinkPort, topic: string): Promise<readonly Delivery[]> {
  const stored: Delivery[] = [];
  try {
    await sink.start();
    const { signal } = new AbortController();
    const result = await sink.readBack?.({ isWanted: (name) => name === topic, sinceMs: 0, signal }, (records) => {
      stored.push(...records);
      return Promise.resolve();
    });
    if (result?.kind !== 'complete') {
      throw new Error(`Topic ${topic} could not be read back: ${result?.reason ?? 'this sink cannot be read'}.`);
    }
    return stored;
  } finally {
    await sink.stop();
  }
}

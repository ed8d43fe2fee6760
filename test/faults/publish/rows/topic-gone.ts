import { setTimeout as sleep } from 'node:timers/promises';
import { createTopic, deleteTopic } from '@millrace/testing';
import { type PublishRow } from '../publish-row.js';
import { begin } from '../publish-scene.js';
import { resume, stopsWith } from './refused.js';

const STOPPED_MS = 60_000;
const POSITION = /position (\d+)\)/;
const PAUSE_MS = 2_000;

/** What was in the topic is gone with it, which nobody can mend; all that had not been acknowledged comes. */
export const TOPIC_DELETED: PublishRow = {
  id: '38a',
  title: 'topic deleted under load: a named stop; made again and resumed by the operator',
  async run(scene) {
    const { world, cluster, topic, lanes } = scene;
    await begin(scene);
    await deleteTopic(cluster.directBrokers, topic);
    await stopsWith(scene, 'topic_deleted', STOPPED_MS);
    lanes.end();
    const [ledger] = await world.query<{ low: string; high: string }>(
      'select low::text as low, high::text as high from millrace.ledger',
    );
    const gone = BigInt(ledger?.high ?? 0);
    const begun = new Set<string>();
    world.excuses(({ kind, text }) => {
      const isOld = BigInt(POSITION.exec(text)?.[1] ?? gone + 1n) <= gone;
      const key = /key (\S+),/.exec(text)?.[1] ?? '';
      const isFirst = kind === 'order' && !begun.has(key);
      begun.add(key);
      return (kind === 'lost' && isOld) || isFirst;
    });
    await sleep(PAUSE_MS);
    await createTopic({ brokers: cluster.directBrokers, topic, partitions: 12, replicas: 3 });
    await resume(scene);
    await world.recovers('the topic was made again');
    world.note(`what was acknowledged up to position ${gone} went with the topic`);
  },
};

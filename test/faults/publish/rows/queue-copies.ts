import { EventEmitter, once } from 'node:events';
import { ownEventsSql } from '../../capture/own-events.js';
import { beginLoad, startRelay } from '../publish-scene.js';
import { setClockAhead } from '../queue/clock-ahead.js';
import { emptied } from '../queue/emptied.js';
import { InboxMembers } from '../queue/inbox-members.js';
import { type QueueRow, type QueueScene } from '../queue/queue-row.js';

const EVENTS_PER_SECOND = 100;
const REACH_MS = 20_000;
/** So that a relay that is started again has not to wait long. */
const LEASE_MS = 1_500;
/** SQS forgets a deduplication id after five. */
const LATER_MINUTES = 6;
const VISIBILITY_SECONDS = 30;

/** A relay whose last page is in the queue and not in its ledger when it is killed; `start` starts it again. */
class KilledRelay {
  private readonly news = new EventEmitter();

  constructor(private readonly scene: QueueScene) {}

  async start(): Promise<void> {
    await startRelay(this.scene, 'relay', {
      preload: ['short-lease', 'barriers'],
      environment: { MILLRACE_FAULTS_LEASE_MS: String(LEASE_MS) },
      onLine: (line) => this.news.emit(line),
    });
  }

  async killBeforeLedger(): Promise<void> {
    const relay = this.scene.world.relay();
    const reached = once(this.news, 'reached before-ledger', { signal: AbortSignal.timeout(REACH_MS) });
    relay.tell('before-ledger');
    await reached;
    await relay.end('SIGKILL');
  }
}

export const RESENT_AFTER_WINDOW: QueueRow = {
  id: '49a',
  title: `FIFO queue: a relay killed before its ledger sends again, at once and ${LATER_MINUTES} minutes later (virtual clock): copies only after the window, applied once`,
  kind: 'fifo',
  async run(scene) {
    const { world, sqs, queue, reader, lanes } = scene;
    world.explains(() => 'sent again after the deduplication window');
    const relay = new KilledRelay(scene);
    await relay.start();
    const members = await InboxMembers.create(scene);
    await members.join(VISIBILITY_SECONDS);
    await beginLoad(scene, EVENTS_PER_SECOND);

    await relay.killBeforeLedger();
    await relay.start();
    await world.recovers('the first SIGKILL');
    if (reader.repeats > 0) {
      world.found('repeated', `${reader.repeats} events came again within the window of deduplication`);
    }

    await relay.killBeforeLedger();
    lanes.end();
    await emptied(sqs, queue);
    const setRight = setClockAhead(LATER_MINUTES * 60_000);
    world.atEnd(async () => {
      setRight();
      return Promise.resolve();
    });
    await relay.start();
    await world.recovers('the second SIGKILL');
    await members.judge();
    world.note(`${members.duplicates} copies known to the inbox`);
    if (reader.repeats === 0) {
      world.found('unmet', 'nothing came again after the window of deduplication');
    }
  },
};

const SHORT_SECONDS = 3;
const WORK_MS = 8_000;
const SLOW_KEYS = 6;
const SLOW_RATE = 50;
const APPLIED_MS = 90_000;
const EXTENSION = 'ChangeMessageVisibilityBatch';

/** Two events of each of some keys, whose handlers work for longer than a message is hidden; until all had their effect. */
async function applySlowOnes({ world }: QueueScene, members: InboxMembers, from: number): Promise<void> {
  const versions = 2;
  await world.query(ownEventsSql({ name: 'slow', keys: SLOW_KEYS, versions, from, workMs: WORK_MS }));
  const wanted = SLOW_KEYS * (from + versions - 1);
  const areApplied = await world.holds(APPLIED_MS, async () => (await members.countApplied('slow-')) >= wanted);
  if (!areApplied) {
    world.found('late', `slow events were not applied within ${APPLIED_MS / 1_000} s`);
  }
}

export const SLOW_HANDLERS: QueueRow = {
  id: '49b',
  title: `FIFO queue: messages hidden for ${SHORT_SECONDS} s, handlers that work for ${WORK_MS / 1_000} s, two members: hidden while in work; where that cannot be asked for, applied once all the same`,
  kind: 'fifo',
  async run(scene) {
    const { world, proxy, reader } = scene;
    await startRelay(scene);
    const members = await InboxMembers.create(scene);
    await members.join(SHORT_SECONDS);
    await members.join(SHORT_SECONDS);
    await beginLoad(scene, SLOW_RATE);
    await applySlowOnes(scene, members, 1);
    const extensions = proxy.countOf(EXTENSION);
    const { visibilityLost, duplicates } = members;
    if (reader.redelivered + visibilityLost + duplicates > 0) {
      const counts = `${reader.redelivered} shown again, ${visibilityLost} told as lost, ${duplicates} known to the inbox`;
      world.found('repeated', `messages were not hidden while they were in work: ${counts}`);
    }
    if (extensions === 0) {
      world.found('unmet', 'no message had to be hidden for longer');
    }

    proxy.set(({ action }) =>
      action === EXTENSION ? { kind: 'answer', status: 503, code: 'ServiceUnavailable' } : { kind: 'pass' },
    );
    await applySlowOnes(scene, members, 3);
    proxy.clear();
    scene.lanes.end();
    await world.recovers('messages could be hidden again');
    await members.judge();
    world.note(
      `hidden for longer in ${extensions} requests; without them ${reader.redelivered} shown again, ${members.duplicates} known to the inbox`,
    );
    if (reader.redelivered === 0) {
      world.found('unmet', 'no message was shown again');
    }
  },
};

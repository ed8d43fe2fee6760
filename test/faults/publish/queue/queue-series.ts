import { join } from 'node:path';
import { HttpFaultProxy, LocalSqs } from '@millrace/testing';
import { copyWithEdits } from '../../../harness/libs-copy.js';
import { type FindingKind } from '../../capture/findings.js';
import { type RowTarget } from '../../capture/row-target.js';
import { type RowVerdict } from '../../capture/row-world.js';
import { attemptIn, type RowAttempt, type RowSeries } from '../publish-faults.js';
import { emptied } from './emptied.js';
import { QueueReader } from './queue-reader.js';
import { type QueueRow } from './queue-row.js';

const LANES = 12;
/** Where the AWS SDK of a relay looks for them; the local SQS takes any. */
const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' };

/** The rows on queues of a local SQS. Each has a PostgreSQL and an SQS of its own. */
export class QueueSeries implements RowSeries<QueueRow> {
  readonly subject = 'SQS (fauxqs on this machine)';

  constructor(readonly rows: readonly QueueRow[]) {}

  async attempt(row: QueueRow, given: RowAttempt): Promise<RowVerdict> {
    const sqs = await LocalSqs.start();
    const proxy = await HttpFaultProxy.start({ port: sqs.port });
    try {
      return await attemptOn({ sqs, proxy }, row, given);
    } finally {
      await proxy.stop();
      await sqs.stop();
    }
  }
}

interface Servers {
  readonly sqs: LocalSqs;
  readonly proxy: HttpFaultProxy;
}

async function attemptOn({ sqs, proxy }: Servers, row: QueueRow, given: RowAttempt): Promise<RowVerdict> {
  const { wrongRule, kind, partitions: lanes = LANES } = row;
  const queue = kind === 'fifo' ? 'faults.fifo' : 'faults';
  sqs.createQueue(queue);
  const reader = new QueueReader();
  const target: RowTarget = {
    sink: { kind: 'sqs', queues: sqs.urlOf(queue, proxy.endpoint), region: 'us-east-1', lanes },
    environment: CREDENTIALS,
    makeTopic: async () => Promise.resolve(),
    recordsOf: async () => {
      await emptied(sqs, queue);
      return reader.records;
    },
  };
  const programs =
    wrongRule === undefined ? given.programs : copyWithEdits(join(given.folder, `programs-${row.id}`), wrongRule.edits);
  const relayMain = join(programs, '..', 'apps', 'relay', 'main.js');
  const setup = { ...given, row, target, relayMain, brokers: [], client: 'platformatic' as const };
  return attemptIn(setup, async (world) => {
    const [topic = ''] = world.routes.map((route) => route.topic);
    await row.run({ ...given, programs, row, world, sqs, proxy, queue, reader, topic });
    const verdict = await world.verdict();
    return wrongRule === undefined ? verdict : verdictOnWrongRule(verdict, wrongRule.finds);
  });
}

/** A wrong rule is to be found, in the way that is expected. */
function verdictOnWrongRule(verdict: RowVerdict, finds: FindingKind): RowVerdict {
  const { findings, notes } = verdict;
  const found = findings.filter(({ kind }) => kind === finds).length;
  const others = findings.map(({ kind }) => kind).join();
  const unmet = {
    kind: 'unmet',
    text: `the wrong rule did not show as ${finds}, but as: ${others || 'nothing'}`,
  } as const;
  return { ...verdict, notes: [...notes, `${found} ${finds}`], findings: found > 0 ? [] : [unmet] };
}

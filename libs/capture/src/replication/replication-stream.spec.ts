import { createServer, type Server, type Socket } from 'node:net';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '../capture-clock.js';
import { ReplicationStream, type ReplicationStreamOptions } from './replication-stream.js';
import { type StreamedTransaction } from './transaction-queue.js';

const KIBIBYTE = 1_024;
const BYTES_MAX = 256 * KIBIBYTE;
const COLUMNS =
  'position id aggregatetype aggregateid type aggregateversion schemaversion payload headers occurred_at'.split(' ');

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function uint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

function zeroEnded(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}

function bytesOf(...parts: readonly (string | Buffer)[]): Buffer {
  return Buffer.concat(parts.map((part) => Buffer.from(part)));
}

/** A message of the server: its letter, its length, its contents. */
function serverMessage(letter: string, ...parts: readonly (string | Buffer)[]): Buffer {
  const contents = bytesOf(...parts);
  return bytesOf(letter, uint32(contents.length + 4), contents);
}

function data(...parts: readonly (string | Buffer)[]): Buffer {
  return serverMessage('d', 'w', Buffer.alloc(24), ...parts);
}

function keepalive(endLsn: bigint, isReplyRequested: boolean): Buffer {
  return serverMessage('d', 'k', uint64(endLsn), Buffer.alloc(8), Buffer.from([isReplyRequested ? 1 : 0]));
}

function begin(commitLsn: bigint): Buffer {
  return data('B', uint64(commitLsn), Buffer.alloc(8), uint32(77));
}

function commit(endLsn: bigint): Buffer {
  return data('C', Buffer.alloc(1), uint64(endLsn - 8n), uint64(endLsn), Buffer.alloc(8));
}

function relation(): Buffer {
  const columns = COLUMNS.map((name) => bytesOf(Buffer.alloc(1), zeroEnded(name), uint32(25), uint32(0)));
  return data('R', uint32(1), zeroEnded('millrace'), zeroEnded('outbox'), 'd', uint16(columns.length), ...columns);
}

function insert(position: number, payload = '{}'): Buffer {
  const texts = [
    String(position),
    `id ${position}`,
    'account',
    'k',
    'changed',
    '1',
    '1',
    payload,
    '{}',
    '2026-11-21 00:00:00+00',
  ];
  const columns = texts.map((text) => bytesOf('t', uint32(Buffer.byteLength(text)), text));
  return data('I', uint32(1), 'N', uint16(columns.length), ...columns);
}

function heartbeat(lsn: bigint, prefix: string, isTransactional = false): Buffer {
  return data('M', Buffer.from([isTransactional ? 1 : 0]), uint64(lsn), zeroEnded(prefix), uint32(0));
}

/** A transaction of one row each of these positions. */
function transaction(endLsn: bigint, positions: readonly number[]): Buffer {
  return bytesOf(begin(endLsn - 8n), ...positions.map((position) => insert(position)), commit(endLsn));
}

/** What a status update said. */
interface Status {
  readonly writeLsn: bigint;
  readonly flushLsn: bigint;
  readonly applyLsn: bigint;
  readonly isReplyRequested: boolean;
}

/** A walsender by hand: it lets everybody in, answers what is asked before the stream, and then says what a test says. */
class FakeWalsender {
  readonly statuses: Status[] = [];
  readonly commands: string[] = [];
  isGone = false;
  isMute = false;
  private readonly server: Server;
  private socket: Socket | undefined;
  private unread = Buffer.alloc(0);
  private hasStarted = false;

  constructor() {
    this.server = createServer((socket) => {
      this.socket = socket;
      socket.setNoDelay(true);
      socket.on('data', (bytes) => {
        this.unread = Buffer.concat([this.unread, bytes]);
        this.readAll();
      });
      socket.on('error', () => undefined);
      socket.on('close', () => (this.isGone = true));
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    const address = this.server.address();
    return `postgres://u@127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}/d`;
  }

  async close(): Promise<void> {
    this.socket?.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  say(...messages: readonly Buffer[]): void {
    this.socket?.write(Buffer.concat(messages));
  }

  /** One write, and so one chunk, after the other. */
  async sayInPieces(bytes: Buffer, size: number): Promise<void> {
    for (let at = 0; at < bytes.length; at += size) {
      this.say(bytes.subarray(at, at + size));
      await turn();
      await turn();
    }
  }

  /** Ends the connection from the server's side. */
  hangUp(): void {
    this.socket?.end();
  }

  private readAll(): void {
    for (;;) {
      const start = this.hasStarted ? 1 : 0;
      const length = this.unread.length < start + 4 ? Infinity : this.unread.readUInt32BE(start) + start;
      if (this.unread.length < length) {
        return;
      }
      const message = this.unread.subarray(0, length);
      this.unread = this.unread.subarray(length);
      this.answer(this.hasStarted ? message.toString('latin1', 0, 1) : 'startup', message.subarray(5));
    }
  }

  private answer(letter: string, contents: Buffer): void {
    if (letter === 'startup') {
      this.hasStarted = true;
      this.say(serverMessage('R', uint32(0)), READY);
    } else if (letter === 'Q') {
      this.command(contents.toString('utf8', 0, contents.length - 1));
    } else if (letter === 'X') {
      this.hangUp();
    } else if (letter === 'd') {
      this.statuses.push({
        writeLsn: contents.readBigUInt64BE(1),
        flushLsn: contents.readBigUInt64BE(9),
        applyLsn: contents.readBigUInt64BE(17),
        isReplyRequested: contents[33] === 1,
      });
      if (contents[33] === 1 && !this.isMute) {
        this.say(keepalive(0n, false));
      }
    }
  }

  private command(text: string): void {
    this.commands.push(text);
    if (text.startsWith('START_REPLICATION')) {
      this.say(serverMessage('W', Buffer.alloc(3)));
    } else if (text.startsWith('select')) {
      const field = (name: string): Buffer => bytesOf(zeroEnded(name), Buffer.alloc(6), uint32(25), Buffer.alloc(8));
      const values = ['60000', '0/64'].map((value) => bytesOf(uint32(value.length), value));
      this.say(
        serverMessage('T', uint16(2), field('timeout_ms'), field('confirmed_lsn')),
        serverMessage('D', uint16(2), ...values),
        serverMessage('C', zeroEnded('SELECT 1')),
        READY,
      );
    } else {
      this.say(serverMessage('C', zeroEnded('SET')), READY);
    }
  }
}

const READY = serverMessage('Z', 'I');

let server: FakeWalsender;
let databaseUrl: string;
let stream: ReplicationStream | undefined;

beforeEach(async () => {
  server = new FakeWalsender();
  databaseUrl = await server.listen();
  stream = undefined;
});

afterEach(async () => {
  await stream?.close();
  await server.close();
});

async function open(options: Partial<ReplicationStreamOptions> = {}): Promise<ReplicationStream> {
  stream = await ReplicationStream.open({
    databaseUrl,
    slot: 's',
    publication: 'p',
    startLsn: 0n,
    applicationName: 'stream spec',
    aggregateTypes: null,
    bytesMax: BYTES_MAX,
    silenceMs: 10_000,
    clock: systemClock,
    ...options,
  });
  return stream;
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!isSo()) {
    if (performance.now() > deadline) {
      throw new Error(`It never happened that ${what}.`);
    }
    await sleep(2);
  }
}

function positionsOf(transaction: StreamedTransaction): number[] {
  return transaction.rows.map(({ position }) => Number(position));
}

describe('the beginning of a stream', () => {
  it('is where the slot stands, or the owner when he is farther', async () => {
    const fromSlot = await open();
    expect(fromSlot.confirmedLsn).toBe(100n);
    expect(server.commands.at(-1)).toContain('SLOT "s" LOGICAL 0/64 ');
    await fromSlot.close();
    await server.close();

    server = new FakeWalsender();
    databaseUrl = await server.listen();
    const fromOwner = await open({ startLsn: 512n });

    expect(fromOwner.confirmedLsn).toBe(512n);
    expect(server.commands.at(-1)).toContain('SLOT "s" LOGICAL 0/200 ');
  });

  it('is refused with a queue that a single chunk could overflow', async () => {
    await expect(open({ bytesMax: BYTES_MAX - 1 })).rejects.toMatchObject({ code: 'internal' });
  });
});

describe('what the server sends', () => {
  it.each([1, 7, 64, 1_000_000])('is read in pieces of %d bytes, with a keepalive between them', async (size) => {
    const reader = await open();
    const sent = bytesOf(
      begin(992n),
      relation(),
      insert(1, '"é"'),
      keepalive(500n, true),
      insert(2),
      commit(1_000n),
      keepalive(1_100n, false),
      transaction(2_000n, [3]),
      transaction(3_000n, [4, 5]),
    );

    await server.sayInPieces(sent, size);
    const transactions = [
      await reader.nextTransaction(),
      await reader.nextTransaction(),
      await reader.nextTransaction(),
    ];

    expect(transactions.map(positionsOf)).toEqual([[1, 2], [3], [4, 5]]);
    expect(transactions.map(({ endLsn }) => endLsn)).toEqual([1_000n, 2_000n, 3_000n]);
    expect(transactions[0]?.rows[0]?.event?.payload).toBe('"é"');
    await until('the keepalive was answered', () => server.statuses.length > 0);
    expect(server.statuses[0]).toMatchObject({ flushLsn: 100n, applyLsn: 100n });
    expect(reader.receivedLsn).toBe(3_000n);
  });

  it('stays as it was though the connection uses its memory again', async () => {
    const reader = await open();
    const count = 500;
    const payload = (n: number): string => JSON.stringify(`${n} `.repeat(200));
    await server.sayInPieces(
      bytesOf(
        begin(992n),
        relation(),
        ...Array.from({ length: count }, (_, n) => insert(n, payload(n))),
        commit(1_000n),
      ),
      10_007,
    );

    const rows: StreamedTransaction['rows'][number][] = [];
    for (let isLast = false; !isLast;) {
      const part = await reader.nextTransaction();
      rows.push(...part.rows);
      isLast = part.isLast;
    }

    expect(rows.map(({ event }) => event?.payload)).toEqual(Array.from({ length: count }, (_, n) => payload(n)));
  });

  it.each([
    ['an unknown message of pgoutput', data('?')],
    ['an unknown frame', serverMessage('d', 'x')],
    ['a row before its relation', bytesOf(begin(992n), insert(1))],
    ['a row outside of a transaction', bytesOf(relation(), insert(1))],
  ])('ends the stream by name when it is %s', async (_, bytes) => {
    const reader = await open();
    server.say(bytes);

    await expect(reader.nextTransaction()).rejects.toMatchObject({ code: 'stream_malformed' });
    await until('the connection was cut', () => server.isGone);
  });

  it('waits in the socket while the queue is full, and the reports go on', async () => {
    const reader = await open({ silenceMs: 600 });
    const payload = JSON.stringify('x'.repeat(2_000));
    const rows = Array.from({ length: 1_000 }, (_, n) => insert(n, payload));
    server.say(begin(992n), relation(), ...rows, commit(1_000n));
    await until('the queue was full', () => reader.queuedBytes >= BYTES_MAX - 64 * KIBIBYTE);
    const reported = server.statuses.length;
    await until('five reports came', () => server.statuses.length >= reported + 5);

    const parts: StreamedTransaction[] = [];
    let highest = reader.queuedBytes;
    while (parts.at(-1)?.isLast !== true) {
      parts.push(await reader.nextTransaction());
      highest = Math.max(highest, reader.queuedBytes);
    }

    expect(highest).toBeLessThanOrEqual(BYTES_MAX + 2_500);
    expect(parts.flatMap(positionsOf)).toEqual(Array.from(rows, (_, n) => n));
    expect(new Set(server.statuses.map(({ flushLsn }) => flushLsn))).toEqual(new Set([100n]));
  });
});

describe('the reports', () => {
  it('say what is confirmed as flushed and applied, never what is received', async () => {
    const reader = await open();
    server.say(relation(), transaction(1_000n, [1]), transaction(2_000n, [2]));
    await reader.nextTransaction();
    await reader.nextTransaction();

    reader.confirm(1_000n);
    reader.confirm(900n);
    server.say(keepalive(3_000n, true));
    await until('the keepalive was answered', () => server.statuses.at(-1)?.writeLsn === 3_000n);

    expect(server.statuses.at(-1)).toEqual({
      writeLsn: 3_000n,
      flushLsn: 1_000n,
      applyLsn: 1_000n,
      isReplyRequested: false,
    });
    expect(server.statuses.map(({ flushLsn }) => flushLsn)).not.toContain(2_000n);
  });

  it('follow the stream while nothing is handed out: keepalives, heartbeats of relays, transactions without rows', async () => {
    const reader = await open();
    const reported = (lsn: bigint): (() => boolean) => {
      return () => server.statuses.at(-1)?.flushLsn === lsn;
    };
    server.say(keepalive(1_000n, false));
    await until('a keepalive moved the slot', reported(1_000n));

    server.say(heartbeat(1_500n, 'other'), heartbeat(1_400n, 'millrace'));
    await until('a heartbeat moved the slot', reported(1_400n));

    server.say(begin(1_900n), heartbeat(1_800n, 'millrace', true), commit(2_000n));
    await until('an empty transaction moved the slot', reported(2_000n));
    expect(reader.takeQueued()).toBeNull();
  });

  it('are made together when confirmations come close to each other', async () => {
    const reader = await open({ clock: { ...systemClock, nowMs: () => 0 } });
    for (let lsn = 101n; lsn <= 150n; lsn += 1n) {
      reader.confirm(lsn);
    }
    await until('the last one was told', () => server.statuses.at(-1)?.flushLsn === 150n);

    expect(server.statuses.map(({ flushLsn }) => flushLsn)).toEqual([101n, 150n]);
  });

  it('tell the last confirmation before the connection ends', async () => {
    const reader = await open();
    reader.confirm(101n);
    reader.confirm(102n);
    await reader.close();
    reader.confirm(103n);

    await until('the goodbye came', () => server.isGone);
    expect(server.statuses.at(-1)?.flushLsn).toBe(102n);
  });
});

describe('a server', () => {
  it('that is silent though asked is given up', async () => {
    server.isMute = true;
    const reader = await open({ silenceMs: 150 });

    await expect(reader.nextTransaction()).rejects.toMatchObject({
      code: 'database_unavailable',
      message: expect.stringContaining('150 ms'),
    });
    expect(server.statuses.filter(({ isReplyRequested }) => isReplyRequested).length).toBeGreaterThan(0);
  });

  it.each([
    ['hangs up', null],
    ['has ended the stream', bytesOf(serverMessage('c'), serverMessage('C', zeroEnded('COPY 0')))],
    ['is shut down', serverMessage('E', 'SFATAL\0C57P01\0Mbye\0\0')],
  ])('that %s is told to the reader', async (_, lastWords) => {
    const reader = await open();
    const next = reader.nextTransaction().catch((error: unknown) => error);
    server.say(relation(), begin(992n), insert(1), lastWords ?? Buffer.alloc(0));
    if (lastWords === null) {
      server.hangUp();
    }

    expect(await next).toMatchObject({ code: 'database_unavailable', disposition: 'retry' });
    expect(reader.queuedBytes).toBe(0);
  });

  it('that passes over changes, since it has no publication, is not believed', async () => {
    const reader = await open();
    server.say(serverMessage('N', 'SWARNING\0C55000\0Mskipped\0\0'), keepalive(5_000n, true));

    await expect(reader.nextTransaction()).rejects.toMatchObject({ code: 'publication_unfit' });
    expect(reader.confirmedLsn).toBe(100n);
  });
});

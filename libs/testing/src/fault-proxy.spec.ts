import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FaultProxy } from './fault-proxy.js';
import { freePort } from './free-port.js';
import { until } from './until.js';

/** A server that says back what it hears, and one client of it. */
describe('FaultProxy', () => {
  let server: Server;
  let proxy: FaultProxy;
  let accepted: Socket[];
  const clients: Socket[] = [];

  beforeEach(async () => {
    accepted = [];
    server = createServer((socket) => {
      accepted.push(socket);
      socket.on('error', () => undefined); // reset on purpose
      socket.pipe(socket);
    });
    const port = await freePort();
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    proxy = await FaultProxy.start({ target: { port }, protocol: 'any', random: () => 0.5 });
  });

  afterEach(async () => {
    clients.splice(0).forEach((client) => client.destroy());
    await proxy.stop();
    accepted.forEach((socket) => socket.destroy());
    await new Promise((resolve) => server.close(resolve));
  });

  async function client(through = proxy): Promise<Socket> {
    const socket = connect(through.port, '127.0.0.1');
    socket.on('error', () => undefined);
    clients.push(socket);
    await once(socket, 'connect');
    return socket;
  }

  it('passes bytes and the end of a connection in both directions', async () => {
    const socket = await client();
    const heard = collect(socket);
    socket.end(Buffer.alloc(3_000_000, 7));
    await once(socket, 'close');
    expect(heard.bytes().equals(Buffer.alloc(3_000_000, 7))).toBe(true);
    await until(
      () => Promise.resolve(proxy.open()),
      (open) => open.length === 0,
      'the end of both sides',
    );
  });

  it('delays every chunk in each direction, in order', async () => {
    const socket = await client();
    const heard = collect(socket);
    proxy.set({ kind: 'delay', ms: 60, jitterMs: 0 });
    const startedMs = performance.now();
    socket.write('one');
    socket.write('two');
    await heard.length(6);
    expect(performance.now() - startedMs).toBeGreaterThan(110);
    proxy.heal();
    socket.write('three');
    await heard.length(11);
    expect(heard.bytes().toString()).toBe('onetwothree');
  });

  it('keeps the order under jitter', async () => {
    let at = 0;
    const jittery = await FaultProxy.start({
      target: addressOf(server),
      protocol: 'any',
      random: () => [0.9, 0.1, 0.5][(at += 1) % 3] ?? 0,
    });
    jittery.set({ kind: 'delay', ms: 20, jitterMs: 20 });
    const socket = await client(jittery);
    const heard = collect(socket);
    const sent = Array.from({ length: 40 }, (_, index) => `${index};`);
    for (const text of sent) {
      socket.write(text);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await heard.length(sent.join('').length);
    expect(heard.bytes().toString()).toBe(sent.join(''));
    await jittery.stop();
  });

  it('lets through so many bytes a second', async () => {
    const socket = await client();
    const heard = collect(socket);
    proxy.set({ kind: 'throttle', bytesPerSecond: 100_000 });
    const startedMs = performance.now();
    socket.write(Buffer.alloc(20_000));
    await heard.length(20_000);
    expect(performance.now() - startedMs).toBeGreaterThan(150);
  });

  it('resets the connections that are open, on both sides, and takes new ones', async () => {
    const socket = await client();
    const heard = collect(socket);
    socket.write('x');
    await heard.length(1);
    const resets = [socket, ...accepted].map(errorOf);
    expect(proxy.reset()).toBe(1);
    expect(await Promise.all(resets)).toEqual(['ECONNRESET', 'ECONNRESET']);
    const again = await client();
    const heardAgain = collect(again);
    again.write('y');
    await heardAgain.length(1);
  });

  it('keeps everything in a black hole, also the end of a connection, and lets it out in order', async () => {
    const socket = await client();
    const heard = collect(socket);
    socket.write('before');
    await heard.length(6);
    proxy.set({ kind: 'blackhole' });
    const late = await client();
    const heardLate = collect(late);
    socket.write('within');
    late.write('late');
    socket.end();
    await silence(heard, 6);
    expect(heardLate.bytes()).toHaveLength(0);
    expect(proxy.open()).toHaveLength(2);
    proxy.heal();
    await Promise.all([once(socket, 'close'), heardLate.length(4)]);
    expect(heard.bytes().toString()).toBe('beforewithin');
  });

  it('loses the answers and passes the requests', async () => {
    const socket = await client();
    const heard = collect(socket);
    socket.write('one');
    await heard.length(3);
    proxy.set({ kind: 'drop', direction: 'to-client' });
    const [serverSide] = accepted;
    socket.write('two');
    await (serverSide && once(serverSide, 'data'));
    await silence(heard, 3);
    proxy.heal(); // a stream with a hole in it is of no use to anybody
    socket.write('three');
    await silence(heard, 3);
  });

  it('cuts each connection after so many bytes', async () => {
    proxy.set({ kind: 'cut', direction: 'to-client', afterBytes: 5 });
    for (let time = 0; time < 2; time += 1) {
      const socket = await client();
      const heard = collect(socket);
      const error = errorOf(socket);
      socket.write('1234567');
      expect(await error).toBe('ECONNRESET');
      expect(heard.bytes().toString()).toBe('12345');
    }
  });

  describe('in front of PostgreSQL', () => {
    let postgres: FaultProxy;

    beforeEach(async () => {
      postgres = await FaultProxy.start({ target: addressOf(server), protocol: 'postgres' });
    });

    afterEach(async () => {
      await postgres.stop();
    });

    it('knows a session by its startup packet, in parts and after a request for encryption', async () => {
      const socket = await client(postgres);
      const heard = collect(socket);
      const packet = startup({ user: 'relay', database: 'shop' });
      socket.write(sslRequest());
      await heard.length(8);
      socket.write(packet.subarray(0, 11));
      await silence(heard, 8);
      expect(postgres.open('unknown')).toHaveLength(1);
      socket.write(packet.subarray(11));
      await heard.length(8 + packet.length);
      expect(heard.bytes()).toEqual(Buffer.concat([sslRequest(), packet]));
      const [{ kind, parameters } = { kind: '', parameters: {} }] = postgres.open();
      expect({ kind, parameters }).toEqual({ kind: 'plain', parameters: { user: 'relay', database: 'shop' } });
    });

    it('does to replication connections what it does not do to others', async () => {
      postgres.set({ kind: 'blackhole' }, 'replication');
      const [plain, stream] = [await client(postgres), await client(postgres)];
      const [heardPlain, heardStream] = [collect(plain), collect(stream)];
      plain.write(startup({ user: 'relay', database: 'shop' }));
      stream.write(startup({ user: 'relay', replication: 'database', database: 'shop' }));
      await heardPlain.length(30);
      await silence(heardStream, 0);
      postgres.set({ kind: 'pass' }, 'replication');
      await heardStream.length(51);
      const error = errorOf(stream);
      expect(postgres.reset('replication')).toBe(1);
      expect(await error).toBe('ECONNRESET');
      expect(postgres.open().map(({ kind }) => kind)).toEqual(['plain']);
    });

    it('does to a session of some name what it does not do to others', async () => {
      postgres.set({ kind: 'blackhole' }, ({ parameters }) => parameters['application_name'] === 'hidden');
      const [shown, hidden] = [await client(postgres), await client(postgres)];
      const [heardShown, heardHidden] = [collect(shown), collect(hidden)];
      shown.write(startup({ user: 'relay', application_name: 'shown' }));
      hidden.write(startup({ user: 'relay', application_name: 'hidden' }));
      await heardShown.length(30);
      await silence(heardHidden, 0);
    });
  });

  it('gives a URL that leads through it', () => {
    expect(proxy.through('postgres://user:secret@db.example:5432/shop?x=1')).toBe(
      `postgres://user:secret@127.0.0.1:${proxy.port}/shop?x=1`,
    );
  });
});

interface Heard {
  bytes(): Buffer;
  /** Resolves when so many bytes have come. */
  length(bytes: number): Promise<void>;
}

function collect(socket: Socket): Heard {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  const bytes = (): Buffer => Buffer.concat(chunks);
  return {
    bytes,
    length: async (wanted) => {
      while (bytes().length < wanted) {
        await once(socket, 'data', { signal: AbortSignal.timeout(60_000) });
      }
    },
  };
}

async function errorOf(socket: Socket): Promise<unknown> {
  return new Promise((resolve) => {
    socket.once('error', (error) => {
      resolve(Reflect.get(error, 'code'));
    });
  });
}

/** Nothing more has come after a while in which it would have. */
async function silence(heard: Heard, length: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(heard.bytes()).toHaveLength(length);
}

function addressOf(server: Server): { readonly port: number } {
  const address = server.address();
  if (address === null || typeof address === 'string') {
    throw new Error('the server does not listen');
  }
  return { port: address.port };
}

function sslRequest(): Buffer {
  const request = Buffer.alloc(8);
  request.writeInt32BE(8, 0);
  request.writeInt32BE(80_877_103, 4);
  return request;
}

function startup(parameters: Readonly<Record<string, string>>): Buffer {
  const text = Object.entries(parameters).flat().join('\0');
  const packet = Buffer.alloc(8 + Buffer.byteLength(text) + 2);
  packet.writeInt32BE(packet.length, 0);
  packet.writeInt32BE(3 << 16, 4);
  packet.write(text, 8);
  return packet;
}

import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { requireBrokers } from './brokers.mjs';
import { requirePorts } from './ports.mjs';

const servers = [];
const said = [];

async function listen() {
  const server = createServer((socket) => socket.destroy());
  servers.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return server.address().port;
}

async function close(server) {
  await new Promise((resolve) => server.close(resolve));
}

async function closedPort() {
  const port = await listen();
  await close(servers.pop());
  return port;
}

beforeEach(() => {
  said.length = 0;
  jest.spyOn(console, 'log').mockImplementation((line) => said.push(line));
});

afterEach(async () => {
  jest.restoreAllMocks();
  await Promise.all(servers.splice(0).map(close));
});

describe('the ports', () => {
  const relay = { who: 'the relay app', variable: 'RELAY_PORT' };
  const order = { who: 'the order app', variable: 'ORDER_PORT' };

  it('pass in silence when they are free', async () => {
    await requirePorts([{ ...relay, port: await closedPort() }]);
    expect(said).toEqual([]);
  });

  it('are told with the variable when one is in use', async () => {
    const port = await listen();
    await expect(requirePorts([{ ...relay, port }])).rejects.toThrow(
      `Port ${port}, which the relay app needs, is in use: stop the program that has it, or set RELAY_PORT to a free port.`,
    );
  });

  it('are told all at once when several are in use', async () => {
    const [first, second, free] = [await listen(), await listen(), await closedPort()];
    const wanted = [
      { ...relay, port: first },
      { who: 'Kafka', variable: 'KAFKA_PORT', port: free },
      { ...order, port: second },
    ];
    await expect(requirePorts(wanted)).rejects.toThrow(
      [
        'These ports are in use: stop the programs that have them, or set their variables to free ports.',
        `  ${first} of the relay app: RELAY_PORT`,
        `  ${second} of the order app: ORDER_PORT`,
      ].join('\n'),
    );
  });

  it('are waited for when a start that was killed may still have them', async () => {
    const port = await listen();
    const waiting = requirePorts([{ ...order, port }], true);
    await close(servers.pop());
    await waiting;
    expect(said.join()).toContain('An earlier npm start ended without stopping; ');
  });

  it('say when a start that was killed has left them', async () => {
    await requirePorts([{ ...order, port: await closedPort() }], true);
    expect(said.join()).toContain('An earlier npm start ended without stopping; its ports are free.');
  });
});

describe('the brokers', () => {
  it('pass when one of them takes connections', async () => {
    await requireBrokers(`127.0.0.1:${await closedPort()},127.0.0.1:${await listen()}`);
  });

  it('are told with the reason when none does', async () => {
    const brokers = `127.0.0.1:${await closedPort()}`;
    await expect(requireBrokers(brokers)).rejects.toThrow(
      `KAFKA_BROKERS: none of ${brokers} answers (ECONNREFUSED): check host and port, or leave it out for a local Kafka.`,
    );
  });
});

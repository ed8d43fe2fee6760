import { describe, expect, it } from '@jest/globals';
import { CaptureError } from '../capture.errors.js';
import { readPgoutput } from './pgoutput-reader.js';
import { type Tuple } from './tuple.js';

/** Recorded from PostgreSQL 18.4 with protocol version 1: one of each form that a message can have. */
const RECORDED = {
  begin: '4200000002a3a04778000303cc9c26d8a0000dbfd7',
  commit: '430000000002a3a0477800000002a3a047a8000303cc9c26d8a0',
  origin: '4f0000000000aabbcc77315f6f726967696e00',
  relation:
    '520001b68f7075626c69630074006400040169640000000014ffffffff00610000000019ffffffff00620000000edaffffffff006d000001b68affffffff',
  type: '590001b68a7075626c6963006d6f6f6400',
  insert: '490001b68f4e00047400000001317400000002c3a9740000000a7b226b223a202276227d7400000003736164',
  insertOfNulls: '490001b68f4e00047400000001326e74000000025b5d6e',
  updateOfKey:
    '550001b68f4b00047400000001316e6e6e4e00047400000001347400000002c3a9740000000a7b226b223a202276227d7400000003736164',
  updateOfWhole: '550001b6974f000274000000013174000000036f6e654e0002740000000131740000000374776f',
  updateWithoutToast: '550001b68f4e000474000000013375' + '74000000035b315d74000000056861707079',
  deleteByKey: '440001b68f4b00047400000001326e6e6e',
  deleteOfWhole: '440001b6974f0002740000000131740000000374776f',
  truncate: '5400000002030001b68f0001b697',
  transactionalMessage: '4d0100000002a3a088986d696c6c72616365000000000462656174',
  message: '4d0000000002a3a089086d696c6c72616365000000000462656174',
} as const;

const NAMES = Object.keys(RECORDED) as (keyof typeof RECORDED)[];

function recorded(name: keyof typeof RECORDED): Buffer {
  return Buffer.from(RECORDED[name], 'hex');
}

function values(row: Tuple | null): unknown {
  return row === null
    ? null
    : Array.from({ length: row.length }, (_, column) => {
        const kind = row.kindOf(column);
        return kind === 'text' ? row.text(column) : { kind };
      });
}

/** The message in words, with its rows as values. */
function read(name: keyof typeof RECORDED): Record<string, unknown> {
  const message: Record<string, unknown> = { ...readPgoutput(recorded(name)) };
  for (const field of ['row', 'key', 'old']) {
    if (field in message) {
      message[field] = values(message[field] as Tuple | null);
    }
  }
  return message;
}

describe('readPgoutput', () => {
  const NULL = { kind: 'null' };
  const committedAtMs = Date.UTC(2026, 10, 21, 18, 51, 3, 600);

  it('reads where a transaction begins and ends', () => {
    expect(read('begin')).toEqual({
      kind: 'begin',
      commitLsn: 0x2a3a04778n,
      xid: 901_079,
      committedAtMs: expect.any(Number),
    });
    expect(read('commit')).toEqual({
      kind: 'commit',
      commitLsn: 0x2a3a04778n,
      endLsn: 0x2a3a047a8n,
      committedAtMs: expect.any(Number),
    });
    expect(Math.abs(Number(read('commit')['committedAtMs']) - committedAtMs)).toBeLessThan(60_000);
  });

  it('reads where a transaction came from', () => {
    expect(read('origin')).toEqual({ kind: 'origin', commitLsn: 0xaabbccn, name: 'w1_origin' });
  });

  it('reads relations and types', () => {
    expect(read('relation')).toEqual({
      kind: 'relation',
      relationId: 112_271,
      schema: 'public',
      name: 't',
      replicaIdentity: 'd',
      columns: [
        { name: 'id', isKey: true, typeId: 20, typeModifier: -1 },
        { name: 'a', isKey: false, typeId: 25, typeModifier: -1 },
        { name: 'b', isKey: false, typeId: 3_802, typeModifier: -1 },
        { name: 'm', isKey: false, typeId: 112_266, typeModifier: -1 },
      ],
    });
    expect(read('type')).toEqual({ kind: 'type', typeId: 112_266, schema: 'public', name: 'mood' });
  });

  it('reads new rows, with null apart from every value', () => {
    expect(read('insert')).toEqual({ kind: 'insert', relationId: 112_271, row: ['1', 'é', '{"k": "v"}', 'sad'] });
    expect(read('insertOfNulls')).toEqual({ kind: 'insert', relationId: 112_271, row: ['2', NULL, '[]', NULL] });
  });

  it('reads changed rows, with a large value that was left alone apart from null', () => {
    expect(read('updateOfKey')).toEqual({
      kind: 'update',
      relationId: 112_271,
      key: ['1', NULL, NULL, NULL],
      old: null,
      row: ['4', 'é', '{"k": "v"}', 'sad'],
    });
    expect(read('updateOfWhole')).toMatchObject({ key: null, old: ['1', 'one'], row: ['1', 'two'] });
    expect(read('updateWithoutToast')).toMatchObject({
      key: null,
      old: null,
      row: ['3', { kind: 'unchanged' }, '[1]', 'happy'],
    });
  });

  it('reads removed rows and emptied tables', () => {
    expect(read('deleteByKey')).toMatchObject({ kind: 'delete', key: ['2', NULL, NULL, NULL], old: null });
    expect(read('deleteOfWhole')).toMatchObject({ kind: 'delete', key: null, old: ['1', 'two'] });
    expect(read('truncate')).toEqual({
      kind: 'truncate',
      relationIds: [112_271, 112_279],
      isCascade: true,
      isRestartIdentity: true,
    });
  });

  it('reads messages within and between transactions', () => {
    const lsn = expect.any(BigInt);
    const content = Buffer.from('beat');
    expect(read('transactionalMessage')).toEqual({
      kind: 'message',
      isTransactional: true,
      lsn,
      prefix: 'millrace',
      content,
    });
    expect(read('message')).toEqual({
      kind: 'message',
      isTransactional: false,
      lsn: 0x2a3a08908n,
      prefix: 'millrace',
      content,
    });
  });

  it('reads a message that lies behind other bytes', () => {
    const bytes = Buffer.concat([Buffer.alloc(25), recorded('truncate')]);

    expect(readPgoutput(bytes, 25)).toEqual(readPgoutput(recorded('truncate')));
  });

  it.each(NAMES)('refuses every truncation of %s, and a byte too much', (name) => {
    const whole = recorded(name);
    const wrong = Array.from(whole, (_, length) => whole.subarray(0, length));
    for (const bytes of [...wrong, Buffer.concat([whole, Buffer.alloc(1)])]) {
      expect(() => readPgoutput(bytes)).toThrow(expect.objectContaining({ code: 'stream_malformed' }));
    }
  });

  it('names the type and the length of what it refuses, never the contents', () => {
    const secret = Buffer.concat([recorded('insert'), Buffer.from('secret')]);

    expect(() => readPgoutput(secret)).toThrow(/a message of type I with 50 bytes has bytes after its last field/);
    expect(() => readPgoutput(recorded('insert').subarray(0, 40))).toThrow(/type I with 40 bytes is cut off/);
    expect(() => readPgoutput(Buffer.from('\u0001secret'))).toThrow(/type 0x01 with 7 bytes is of no known type/);
    expect(() => readPgoutput(Buffer.from('Ssecret'))).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('secret') }),
    );
  });

  it.each(['S', 'E', 'c', 'A', 'b', 'P', 'K', 'r', 'p'])('refuses %s of the later protocols', (letter) => {
    expect(() => readPgoutput(Buffer.concat([Buffer.from(letter), Buffer.alloc(20)]))).toThrow(/no known type/);
  });

  it.each([
    ['an insert without its row', '490001b68f4b0000'],
    ['an update without its row', '550001b68f580000'],
    ['an update with a key and without a row', '550001b68f4b00004b0000'],
    ['a delete without its row', '440001b68f4e0000'],
    ['a column of an unknown kind', '490001b68f4e000178'],
    ['a column of a negative length', '490001b68f4e000174ffffffff'],
    ['a commit with flags', '430100000002a3a0477800000002a3a047a8000303cc9c26d8a0'],
    ['more tables than there are', '54ffffffff00'],
  ])('refuses %s', (_, hex) => {
    expect(() => readPgoutput(Buffer.from(hex, 'hex'))).toThrow(CaptureError);
  });

  it('reads or refuses by name whatever bytes come, from the recorded messages too', () => {
    const random = generator(20_261_121);
    for (let round = 0; round < 2_000; round += 1) {
      const seed = round % 2 === 0 ? Buffer.alloc(random(60)) : recorded(NAMES[random(NAMES.length)] ?? 'insert');
      for (let change = round % 2 === 0 ? seed.length : 1 + random(4); change > 0; change -= 1) {
        seed[random(seed.length)] = random(256);
      }
      if (round % 4 === 0 && seed.length > 0) {
        seed.write('BCORYIUDTM'.charAt(random(10)), 0, 'latin1');
      }
      try {
        readPgoutput(seed);
      } catch (error) {
        expect(error).toBeInstanceOf(CaptureError);
        expect(error).toMatchObject({ code: 'stream_malformed' });
      }
    }
  });
});

describe('a row', () => {
  const message = readPgoutput(recorded('updateWithoutToast'));
  const row = message.kind === 'update' ? message.row : null;

  it('gives the bytes of a value untouched, and none where there is no value', () => {
    expect(row?.bytes(2)).toEqual(Buffer.from('[1]'));
    expect(row?.bytes(1)).toBeNull();
    expect([row?.byteLength(2), row?.byteLength(1)]).toEqual([3, 0]);
  });

  it('has no text of a value that was not sent, and no column beyond its last', () => {
    expect(() => row?.text(1)).toThrow(/column 2 of a row came as unchanged/);
    expect(() => row?.text(4)).toThrow(/a row has 4 columns, and column 5 is asked for/);
  });
});

/** Whole numbers below a limit, the same in every run. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return below === 0 ? 0 : Math.floor((state / 2 ** 32) * below);
  };
}

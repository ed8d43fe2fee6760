import { describe, expect, it } from '@jest/globals';
import { type RelationMessage } from './pgoutput-message.js';
import { RelationCache } from './relation-cache.js';

const COLUMNS =
  'position id aggregatetype aggregateid type aggregateversion schemaversion payload headers occurred_at'.split(' ');

function relation(name: string, columns: readonly string[], relationId = 16_400): RelationMessage {
  const typed = columns.map((column) => ({ name: column, isKey: false, typeId: 25, typeModifier: -1 }));
  return { kind: 'relation', relationId, schema: 'millrace', name, replicaIdentity: 'd', columns: typed };
}

describe('RelationCache', () => {
  it('finds the columns of the outbox wherever they are', () => {
    const cache = new RelationCache('p');
    cache.announce(relation('outbox', ['added', ...COLUMNS.toReversed()]));

    expect(cache.outboxColumns(16_400)).toEqual([10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
  });

  it('follows the outbox when it is announced again', () => {
    const cache = new RelationCache('p');
    cache.announce(relation('outbox', COLUMNS));
    cache.announce(relation('outbox', ['added', ...COLUMNS]));

    expect(cache.outboxColumns(16_400)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it.each(COLUMNS)('tells that column %s is missing', (missing) => {
    const columns = COLUMNS.filter((column) => column !== missing);

    expect(() => {
      new RelationCache('p').announce(relation('outbox', columns));
    }).toThrow(expect.objectContaining({ code: 'outbox_altered', message: expect.stringContaining(missing) }));
  });

  it('refuses rows of a leaf, and of an outbox that was renamed', () => {
    const cache = new RelationCache('millrace_orders');
    cache.announce(relation('outbox', COLUMNS, 1));
    cache.announce(relation('outbox_p1', COLUMNS, 2));
    cache.announce(relation('outbox_old', COLUMNS, 1));

    for (const id of [1, 2]) {
      expect(() => cache.outboxColumns(id)).toThrow(
        expect.objectContaining({ code: 'publication_unfit', message: expect.stringContaining('millrace_orders') }),
      );
    }
  });

  it('refuses rows of a relation that was not announced', () => {
    expect(() => new RelationCache('p').outboxColumns(1)).toThrow(
      expect.objectContaining({ code: 'stream_malformed' }),
    );
  });
});

import { describe, expect, it } from '@jest/globals';
import { encodeAssignment, encodeSubscription } from './consumer-protocol.js';
import { GroupMember } from './group-member.js';
import { ANSWER } from './kafka-answer.js';
import { KafkaCluster } from './kafka-cluster.js';
import { WireReader, WireWriter } from './wire/wire-buffers.js';

type Answers = Readonly<Record<string, readonly Buffer[]>>;

const found = answer((to) => to.int16(0).string(null).int32(1).string('coordinator').int32(9092));
const ok = answer((to) => to.int16(0));

function answer(write: (to: WireWriter) => WireWriter): Buffer {
  return write(new WireWriter().int32(0)).finish();
}

function refused(errorCode: number): Buffer {
  return answer((to) => to.int16(errorCode));
}

function joined(memberId: string, leaderId: string, { errorCode = 0, generation = 1 } = {}): Buffer {
  const members = leaderId === memberId ? [memberId, 'other'] : [];
  return answer((to) =>
    to
      .int16(errorCode)
      .int32(generation)
      .string('roundrobin')
      .string(leaderId)
      .string(memberId)
      .array(members, (item, id) =>
        item
          .string(id)
          .string(null)
          .bytes(encodeSubscription(['t'])),
      ),
  );
}

function synced(partitions: readonly number[]): Buffer {
  return answer((to) =>
    to.int16(0).bytes(encodeAssignment(partitions.map((partition) => ({ topic: 't', partition })))),
  );
}

/** Topic `t` with two partitions. */
const metadata = answer((to) =>
  to
    .array(['coordinator'], (broker, host) => broker.int32(1).string(host).int32(9092).string(null))
    .string('cluster')
    .int32(1)
    .array(['t'], (topics, topic) =>
      topics
        .int16(0)
        .string(topic)
        .int8(0)
        .array([0, 1], (item, partition) =>
          item
            .int16(0)
            .int32(partition)
            .int32(1)
            .array([1], (list, node) => list.int32(node))
            .array([1], (list, node) => list.int32(node))
            .array([], () => undefined),
        ),
    ),
);

/** A coordinator that gives the answers of each request in turn, the last one again and again. */
function memberOf(answers: Answers): { member: GroupMember; asked: { name: string; body: Buffer }[] } {
  const asked: { name: string; body: Buffer }[] = [];
  const cluster = new KafkaCluster({
    client: {
      decompress: (_, bytes) => bytes,
      connect: () =>
        Promise.resolve({
          send: ({ name, body }) => {
            const given = answers[name] ?? [];
            const before = asked.filter((question) => question.name === name).length;
            asked.push({ name, body });
            return Promise.resolve(given[Math.min(before, given.length - 1)] ?? Buffer.alloc(0));
          },
          close: () => undefined,
        }),
    },
    bootstrap: ['any:9092'],
    connectTimeoutMs: 1_000,
    requestTimeoutMs: 1_000,
  });
  const options = { groupId: 'g', sessionTimeoutMs: 6_000, rebalanceTimeoutMs: 9_000, requestTimeoutMs: 1_000 };
  return { member: new GroupMember(cluster, options), asked };
}

describe('a member of a group', () => {
  it('takes the id that it is given, and as the leader deals out what the members want', async () => {
    const { member, asked } = memberOf({
      FindCoordinator: [found],
      JoinGroup: [joined('me', '', { errorCode: ANSWER.MEMBER_ID_REQUIRED, generation: -1 }), joined('me', 'me')],
      Metadata: [metadata],
      SyncGroup: [synced([0])],
    });
    const generation = await member.join(['t']);

    expect(generation).toEqual({
      generation: 1,
      memberId: 'me',
      partitions: [{ topic: 't', partition: 0 }],
      leads: new Map([['t', [1, 1]]]),
    });
    const sync = new WireReader(asked.at(-1)?.body ?? Buffer.alloc(0));
    expect([sync.string(), sync.int32(), sync.string(), sync.nullableString()]).toEqual(['g', 1, 'me', null]);
    const dealt = sync.array((item) => [item.string(), item.bytes().toString('hex')]);
    expect(dealt).toEqual([
      ['me', encodeAssignment([{ topic: 't', partition: 0 }]).toString('hex')],
      ['other', encodeAssignment([{ topic: 't', partition: 1 }]).toString('hex')],
    ]);
  });

  it('deals nothing out when another one leads', async () => {
    const { member, asked } = memberOf({
      FindCoordinator: [found],
      JoinGroup: [joined('me', 'another')],
      SyncGroup: [synced([])],
    });
    expect(await member.join(['t'])).toMatchObject({ partitions: [], leads: undefined });
    expect(asked.map(({ name }) => name)).toEqual(['FindCoordinator', 'JoinGroup', 'SyncGroup']);
  });

  it('commits under the generation that it is told, even when it is in a later one', async () => {
    const { member, asked } = memberOf({
      FindCoordinator: [found],
      JoinGroup: [joined('me', 'another'), joined('me', 'another', { generation: 2 })],
      SyncGroup: [synced([0])],
      OffsetCommit: [
        answer((to) =>
          to.array(['t'], (topics, topic) =>
            topics.string(topic).array([0], (item) => item.int32(0).int16(ANSWER.ILLEGAL_GENERATION)),
          ),
        ),
      ],
    });
    const earlier = await member.join(['t']);
    await member.join(['t']);
    const late = member.commit(earlier, [{ topic: 't', partition: 0, offset: 7n }]);

    await expect(late).rejects.toMatchObject({ code: ANSWER.ILLEGAL_GENERATION });
    const commit = new WireReader(asked.at(-1)?.body ?? Buffer.alloc(0));
    expect([commit.string(), commit.int32(), commit.string()]).toEqual(['g', 1, 'me']);
    expect(member.isMember).toBe(true);
  });

  it('joins without its id again once the group does not know it any more', async () => {
    const { member, asked } = memberOf({
      FindCoordinator: [found],
      JoinGroup: [joined('me', 'another'), joined('new', 'another')],
      SyncGroup: [synced([0])],
      Heartbeat: [refused(ANSWER.UNKNOWN_MEMBER_ID)],
    });
    await member.join(['t']);
    await expect(member.heartbeat()).rejects.toMatchObject({ code: ANSWER.UNKNOWN_MEMBER_ID });
    await member.join(['t']);

    const [, again] = asked.filter(({ name }) => name === 'JoinGroup');
    const join = new WireReader(again?.body ?? Buffer.alloc(0));
    expect([join.string(), join.int32(), join.int32(), join.string()]).toEqual(['g', 6_000, 9_000, '']);
  });

  it('looks for its coordinator again when that has moved, and not otherwise', async () => {
    const { member, asked } = memberOf({
      FindCoordinator: [found],
      Heartbeat: [ok, refused(ANSWER.REBALANCE_IN_PROGRESS), refused(ANSWER.NOT_COORDINATOR), ok],
    });
    await member.heartbeat();
    await expect(member.heartbeat()).rejects.toMatchObject({ code: ANSWER.REBALANCE_IN_PROGRESS });
    await expect(member.heartbeat()).rejects.toMatchObject({ code: ANSWER.NOT_COORDINATOR });
    await member.heartbeat();
    expect(asked.map(({ name }) => name)).toEqual([
      'FindCoordinator',
      'Heartbeat',
      'Heartbeat',
      'Heartbeat',
      'FindCoordinator',
      'Heartbeat',
    ]);
  });
});

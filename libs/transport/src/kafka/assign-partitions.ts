export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** A member of a group and the topics that it wants. */
export interface GroupSubscriber {
  readonly memberId: string;
  readonly topics: readonly string[];
}

/**
 * Deals the partitions of all topics out, one by one, to the members that want them: what Kafka's own `roundrobin` does.
 * The same for every leader that sees the same members and topics. Topics that are not in `counts` are left out.
 */
export function assignRoundRobin(
  members: readonly GroupSubscriber[],
  counts: ReadonlyMap<string, number>,
): Map<string, TopicPartition[]> {
  const inOrder = [...members].sort((one, other) => (one.memberId < other.memberId ? -1 : 1));
  const dealt = new Map<string, TopicPartition[]>(inOrder.map(({ memberId }) => [memberId, []]));
  let turn = 0;
  for (const topic of [...counts.keys()].sort()) {
    const wanting = inOrder.filter(({ topics }) => topics.includes(topic));
    for (let partition = 0; partition < (counts.get(topic) ?? 0) && wanting.length > 0; partition += 1) {
      turn = nextTurn(inOrder, wanting, turn);
      dealt.get(inOrder[turn]?.memberId ?? '')?.push({ topic, partition });
      turn = (turn + 1) % inOrder.length;
    }
  }
  return dealt;
}

/** The first member from `turn` on, in a circle, that wants the topic; at least one does. */
function nextTurn(inOrder: readonly GroupSubscriber[], wanting: readonly GroupSubscriber[], turn: number): number {
  let next = turn;
  for (let tried = 0; tried < inOrder.length; tried += 1) {
    const member = inOrder[next];
    if (member !== undefined && wanting.includes(member)) {
      return next;
    }
    next = (next + 1) % inOrder.length;
  }
  return turn;
}

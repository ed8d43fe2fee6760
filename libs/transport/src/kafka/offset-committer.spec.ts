import { describe, expect, it } from '@jest/globals';
import { ANSWER, KafkaAnswerError } from './kafka-answer.js';
import { OffsetCommitter } from './offset-committer.js';
import { type PartitionResult } from './wire/group-apis.js';

const zero = { topic: 't', partition: 0 };

interface Sent {
  readonly offsets: readonly bigint[];
  readonly settle: (refused?: readonly PartitionResult[]) => void;
  readonly fail: (error: Error) => void;
}

function committerOf(): { committer: OffsetCommitter; sent: Sent[]; failures: unknown[]; next: () => Promise<Sent> } {
  const sent: Sent[] = [];
  const failures: unknown[] = [];
  let tell: (one: Sent) => void = () => undefined;
  const committer = new OffsetCommitter({
    intervalMs: 10,
    commit: (offsets) =>
      new Promise((resolve, reject) => {
        const one = {
          offsets: offsets.map(({ offset }) => offset),
          settle: (refused: readonly PartitionResult[] = []) => {
            resolve(refused);
          },
          fail: reject,
        };
        sent.push(one);
        tell(one);
      }),
    onFailure: (error) => failures.push(error),
  });
  const next = () =>
    new Promise<Sent>((resolve) => {
      tell = resolve;
    });
  return { committer, sent, failures, next };
}

describe('the commits of an assignment', () => {
  it('go out once per interval with the newest offsets, one at a time', async () => {
    const { committer, sent, next } = committerOf();
    const first = next();
    committer.raise(zero, 1n);
    committer.raise(zero, 2n);
    const underWay = await first;
    expect(underWay.offsets).toEqual([2n]);
    committer.raise(zero, 3n);
    const second = next();
    underWay.settle();
    (await second).settle();
    await committer.close(true);
    expect(sent.map(({ offsets }) => offsets)).toEqual([[2n], [3n]]);
  });

  it('send what is left at the end, after what is under way, and nothing that comes later', async () => {
    const { committer, sent, next } = committerOf();
    const first = next();
    committer.raise(zero, 1n);
    const underWay = await first;
    committer.raise(zero, 2n);
    const closed = committer.close(true);
    const last = next();
    underWay.settle();
    committer.raise(zero, 9n);
    (await last).settle();
    await closed;
    expect(sent.map(({ offsets }) => offsets)).toEqual([[1n], [2n]]);
  });

  it('send nothing at the end of a membership that is lost', async () => {
    const { committer, sent } = committerOf();
    committer.raise(zero, 1n);
    await committer.close(false);
    expect(sent).toEqual([]);
  });

  it('are tried again when they fail, which is told once', async () => {
    const { committer, sent, failures, next } = committerOf();
    let coming = next();
    committer.raise(zero, 1n);
    (await coming).fail(new Error('no broker'));
    coming = next();
    (await coming).settle([{ ...zero, errorCode: ANSWER.UNKNOWN_TOPIC_OR_PARTITION }]);
    coming = next();
    (await coming).settle();
    await committer.close(true);
    expect(sent).toHaveLength(3);
    expect(failures).toEqual([new Error('no broker')]);
  });

  it('tell every time that the generation is over', async () => {
    const { committer, failures, next } = committerOf();
    const over = new KafkaAnswerError(ANSWER.ILLEGAL_GENERATION, 'OffsetCommit');
    let coming = next();
    committer.raise(zero, 1n);
    (await coming).fail(new Error('no broker'));
    coming = next();
    (await coming).fail(over);
    await committer.close(false);
    expect(failures).toEqual([new Error('no broker'), over]);
  });
});

const SEED = 0x9747b28c | 0;
const M = 0x5bd1e995;
const R = 24;

/**
 * Austin Appleby's MurmurHash2 as Apache Kafka's Java client computes it over a key (`Utils.murmur2`): signed 32 bits.
 * Held against vectors that the Java client made (`murmur2.vectors.ts`).
 */
export function murmur2(data: Buffer): number {
  const length = data.length;
  const tail = length & ~3;
  let hash = SEED ^ length;
  for (let index = 0; index < tail; index += 4) {
    let k = data.readInt32LE(index);
    k = Math.imul(k, M);
    k ^= k >>> R;
    hash = Math.imul(hash, M) ^ Math.imul(k, M);
  }
  if (tail < length) {
    hash = Math.imul(hash ^ (length - tail === 1 ? data.readUInt8(tail) : data.readUIntLE(tail, length - tail)), M);
  }
  hash ^= hash >>> 13;
  hash = Math.imul(hash, M);
  return hash ^ (hash >>> 15);
}

/** The partition that the Java client's default partitioner gives to a record with this key. `partitions` is at least 1. */
export function partitionOfKey(key: Buffer, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions;
}

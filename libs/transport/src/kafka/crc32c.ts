const POLYNOMIAL = 0x82f63b78;
/** Bytes that are taken in one step, each with a table of its own. */
const STEP = 8;
const TABLES = tables();

/**
 * The checksum of Kafka's record batches (CRC-32C, Castagnoli), eight bytes at a time: Node has none, that of
 * `@platformatic/kafka` copies what it reads, and that of kafkajs takes three times as long. Source: "slicing-by-8",
 * Kounavis and Berry, 2005.
 */
export function crc32c(bytes: Buffer): number {
  let crc = -1;
  let at = 0;
  for (const last = bytes.length - STEP; at <= last; at += STEP) {
    crc ^= byte(bytes, at) | (byte(bytes, at + 1) << 8) | (byte(bytes, at + 2) << 16) | (byte(bytes, at + 3) << 24);
    crc =
      entry(7, crc) ^
      entry(6, crc >>> 8) ^
      entry(5, crc >>> 16) ^
      entry(4, crc >>> 24) ^
      entry(3, byte(bytes, at + 4)) ^
      entry(2, byte(bytes, at + 5)) ^
      entry(1, byte(bytes, at + 6)) ^
      entry(0, byte(bytes, at + 7));
  }
  for (; at < bytes.length; at += 1) {
    crc = entry(0, crc ^ byte(bytes, at)) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

function byte(bytes: Buffer, at: number): number {
  return bytes[at] ?? 0;
}

function entry(table: number, value: number): number {
  return TABLES[(table << 8) | (value & 0xff)] ?? 0;
}

function tables(): Uint32Array {
  const found = new Uint32Array(STEP << 8);
  for (let value = 0; value < 256; value += 1) {
    let crc = value;
    for (let bit = 0; bit < 8; bit += 1) {
      crc = (crc & 1) === 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    }
    found[value] = crc;
  }
  for (let at = 256; at < found.length; at += 1) {
    const before = found[at - 256] ?? 0;
    found[at] = (found[before & 0xff] ?? 0) ^ (before >>> 8);
  }
  return found;
}

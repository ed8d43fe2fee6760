/** A WAL position: a bigint inside, `X/Y` in hexadecimal on the wire. */
export function parseLsn(text: string): bigint {
  const [high, low] = text.split('/');
  return (BigInt(`0x${high ?? '0'}`) << 32n) + BigInt(`0x${low ?? '0'}`);
}

/** The way PostgreSQL writes a WAL position: two hexadecimal numbers, `16/B374D848`. */
export function formatLsn(lsn: bigint): string {
  const half = (part: bigint): string => part.toString(16).toUpperCase();
  return `${half(lsn >> 32n)}/${half(lsn & 0xffff_ffffn)}`;
}

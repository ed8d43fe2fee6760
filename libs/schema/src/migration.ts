/** One step of schema `millrace`. Steps are never edited after a release; a checksum of `up` is kept and compared. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly up: string;
  readonly down: string;
}

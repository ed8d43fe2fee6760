import { expect, it } from '@jest/globals';
import { startCommand } from './start-command.js';

it('quotes names as identifiers, that of the publication within a literal', () => {
  expect(startCommand({ slot: 'a"b', publication: `x"y'z, w`, startLsn: 0x16_b374_d848n })).toBe(
    `START_REPLICATION SLOT "a""b" LOGICAL 16/B374D848 ` +
      `(proto_version '1', publication_names '"x""y''z, w"', messages 'true')`,
  );
});

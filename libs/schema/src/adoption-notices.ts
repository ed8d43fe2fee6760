import { TRIGGER } from './adopted-trigger.sql.js';
import { unfinishedAdoptionsSql } from './adopted-table.sql.js';
import { type MigrationClient } from './migration-connection.js';
import { field, textField } from './row-field.js';

/** Sentences about adopted tables whose new rows do not reach the outbox. */
export async function adoptionNotices(client: MigrationClient): Promise<string[]> {
  const { rows } = await client.query(unfinishedAdoptionsSql(TRIGGER));
  return rows.map((row) => {
    const name = textField(row, 'name');
    if (field(row, 'is_replaced') === true) {
      return (
        `The adopted table ${name} was dropped, and another one has its name: rows that are inserted now are not ` +
        `published. Run millrace migrate --adopt ${name} again, or --release ${name} if they are not to be.`
      );
    }
    const reason =
      field(row, 'is_complete') === true
        ? `The copy of older rows of ${name} is not finished, and new events wait for it.`
        : `The trigger on the adopted table ${name} is missing or disabled: rows that are inserted now are not published.`;
    return `${reason} Run millrace migrate --adopt ${name} with the options that it was adopted with.`;
  });
}

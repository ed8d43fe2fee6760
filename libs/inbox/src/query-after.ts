import pg from 'pg';

/** One statement of ours; with a name it is prepared once per connection. */
export interface Statement {
  readonly name?: string;
  readonly text: string;
  readonly values?: unknown[];
  /** Milliseconds until the driver gives up waiting for the answer. */
  readonly query_timeout?: number;
}

/**
 * Runs a statement behind another one that answers nothing, such as BEGIN, in one message and one round trip. A message
 * costs more than all of a small transaction's own work; `client.query` would send two.
 */
export async function queryAfter<Row extends pg.QueryResultRow>(
  client: pg.ClientBase,
  prelude: string,
  statement: Statement,
): Promise<pg.QueryResult<Row>> {
  return await new Promise((resolve, reject) => {
    const query = new pg.Query<Row>(statement, (error: Error | undefined, answer: unknown) => {
      const result: unknown = Array.isArray(answer) ? answer.at(-1) : answer;
      if (error) {
        reject(error);
      } else {
        resolve(result as pg.QueryResult<Row>);
      }
    });
    Object.assign(query, { query_timeout: statement.query_timeout });
    const submit = query.submit.bind(query);
    query.submit = (connection) => {
      connection.stream.cork();
      connection.parse({ name: '', text: prelude, types: [] }, true);
      connection.bind({}, true);
      connection.execute({}, true);
      submit(connection);
      connection.stream.uncork();
    };
    client.query(query);
  });
}

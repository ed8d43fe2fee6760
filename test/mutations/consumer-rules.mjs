const SESSION = 'libs/inbox/src/partition-session.ts';
const WINDOW = 'libs/inbox/src/offset-window.ts';
const PLACE = 'libs/inbox/src/partition-place.ts';
const LANES = 'libs/inbox/src/key-lanes.ts';
const ATTEMPTS = 'libs/inbox/src/attempts.ts';
const WRITER = 'libs/inbox/src/progress-writer.ts';
const POLICY = 'libs/inbox/src/retry-policy.ts';
const RELEASER = 'libs/inbox/src/chain-releaser.ts';

const runner = (only) => ({ path: 'libs/inbox/src/consumer-runner.spec.ts', only });

/** Wrong rules of the consumer's runner; see rules.mjs. */
export const CONSUMER_RULES = [
  {
    name: 'consumer-offset-before-progress',
    wrong: 'the offset moves before the database has the progress',
    test: runner('writes the progress, and only then moves the offset'),
    edits: [
      edit(
        WRITER,
        '    try {\n      await this.parts.inbox.saveProgress(',
        '    for (const { session, progress } of written) {\n      session.saved(progress);\n    }\n' +
          '    try {\n      await this.parts.inbox.saveProgress(',
      ),
    ],
  },
  {
    name: 'consumer-watermark-passes-unfinished',
    wrong: 'the offset follows the newest record that is done',
    test: { path: 'libs/inbox/src/offset-window.spec.ts', only: 'never passes an unfinished record' },
    edits: [
      edit(
        WINDOW,
        '    entry.isDone = true;\n',
        '    entry.isDone = true;\n    this.#nextOffset = entry.offset + 1n;\n',
      ),
    ],
  },
  {
    name: 'consumer-floor-ahead-of-the-prefix',
    wrong: 'the floor follows the low of any record that is done',
    test: runner('rise with the contiguous prefix only'),
    edits: [
      edit(
        SESSION,
        '    const passed = this.#window.finish(entry);\n',
        '    if (entry.mark !== null) {\n      this.#place.pass(entry.mark);\n      this.#touch();\n    }\n' +
          '    const passed = this.#window.finish(entry);\n',
      ),
    ],
  },
  {
    name: 'consumer-low-of-the-future',
    wrong: 'a floor rises to whatever a record says, above all that was seen',
    test: runner('do not believe one record that lies'),
    edits: [edit(PLACE, 'smaller(low, highest)', 'low > highest ? low : low')],
  },
  {
    name: 'consumer-floor-goes-on-over-a-hole',
    wrong: 'skipped offsets do not freeze the floors',
    test: runner('stand still after a hole'),
    edits: [edit(PLACE, 'if (this.#hole === null) {\n      this.#raise(', 'if (low > 0n) {\n      this.#raise(')],
  },
  {
    name: 'consumer-floor-against-replays',
    wrong: 'a replayed event at or below the floor is a duplicate',
    test: runner('below a floor without asking the database'),
    edits: [edit(PLACE, 'if (stream === null || isBypassingFloor) {', 'if (stream === null || !stream) {')],
  },
  {
    name: 'consumer-key-runs-beside-itself',
    wrong: 'a key gives its next event while one of it is running',
    test: runner('runs the events of a key one after the other'),
    edits: [
      edit(
        LANES,
        '      batch.push(...lane.items.slice(0, lane.taken));\n',
        '      batch.push(...lane.items.splice(0, lane.taken));\n      this.#rest(lane);\n',
      ),
      edit(
        LANES,
        '    const lane = this.#busy(key);\n    lane.items.splice(0, lane.taken);\n    this.#rest(lane);\n',
        '',
      ),
    ],
  },
  {
    name: 'consumer-failure-blocks-the-slot',
    wrong: 'an event that waits for its next try keeps its place among the running',
    test: runner('tries a few times in memory, with other keys going on'),
    edits: [
      edit(
        SESSION,
        '    this.#running--;\n    this.#ended(batch, result);\n',
        "    if (result.kind === 'back') {\n      await new Promise((resolve) => this.parts.clock.after(result.waitMs, () => resolve(null)));\n    }\n" +
          '    this.#running--;\n    this.#ended(batch, result);\n',
      ),
    ],
  },
  {
    name: 'consumer-outage-burns-attempts',
    wrong: 'every failure counts, also while the database is away',
    test: runner('opens the breaker; nothing is begun, no attempt is burnt'),
    edits: [
      edit(
        ATTEMPTS,
        "if ((action === 'wait' || action === 'retry') && !(await breaker.isDatabaseThere(error))) {",
        "if (action === 'wait' && records.length > 1 && !(await breaker.isDatabaseThere(error))) {",
      ),
    ],
  },
  {
    name: 'consumer-goes-on-from-memory',
    wrong: 'what was done before the database failed over counts as done',
    test: runner('nothing goes on from memory'),
    edits: [
      edit('libs/inbox/src/consumer-runner.ts', 'if (this.#sessions.size === 0) {', 'if (this.#sessions.size >= 0) {'),
    ],
  },
  {
    name: 'consumer-nameless-error-counts',
    wrong: 'an error without a cause counts without a look at the database',
    test: runner('is found behind an error that names no cause'),
    edits: [edit(ATTEMPTS, "(action === 'wait' || action === 'retry') &&", "action === 'wait' &&")],
  },
  {
    name: 'consumer-conflict-burns-attempts',
    wrong: 'a deadlock is a failure of the handler',
    test: runner('counts no attempt for a conflict'),
    edits: [edit(POLICY, "conflict: { action: 'again',", "conflict: { action: 'retry',")],
  },
  {
    name: 'consumer-conflict-of-a-chain-counts',
    wrong: 'a conflict costs the head of a chain one of its tries',
    test: runner('are released when they are due'),
    edits: [edit(RELEASER, ', isFree: true }', ' }')],
  },
  {
    name: 'consumer-batch-failure-holds-all',
    wrong: 'what fails in a batch is held with all its neighbours',
    test: runner('that fail go one by one'),
    edits: [edit(ATTEMPTS, 'if (record === undefined || records.length > 1) {', 'if (record === undefined) {')],
  },
  {
    name: 'consumer-passes-over-what-it-cannot-hold',
    wrong: 'an event that could not be set aside is settled',
    test: runner('passes over nothing that it could not set aside'),
    edits: [
      edit(
        ATTEMPTS,
        'return await this.#holdFailed(record, holdError);',
        "await this.#holdFailed(record, holdError);\n      return { kind: 'settled' };",
      ),
    ],
  },
  {
    name: 'consumer-begins-while-closing',
    wrong: 'a partition that is given up begins what it has taken in',
    test: runner('lets running handlers end and commits them, drops the rest'),
    edits: [edit(SESSION, 'return this.#isClosing ? 0 : this.#lanes.readyItems;', 'return this.#lanes.readyItems;')],
  },
  {
    name: 'consumer-close-does-not-wait',
    wrong: 'a partition is given up while its handlers run',
    test: runner('lets running handlers end and commits them, drops the rest'),
    edits: [edit(SESSION, 'if (this.#running > 0) {', 'if (this.#running < 0) {')],
  },
  {
    name: 'consumer-window-unbounded',
    wrong: 'a slow key lets the partition run ahead without limit',
    test: runner('takes in no more than the window'),
    edits: [edit(SESSION, 'while (!isThere() && !this.#isClosing) {', 'while (this.#window.size < 0) {')],
  },
];

function edit(file, find, replace) {
  return { file, find, replace };
}

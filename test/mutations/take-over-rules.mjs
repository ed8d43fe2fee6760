const FOUND = 'libs/relay/src/take-over/found-records.ts';
const OFFSETS = 'libs/relay/src/take-over/lane-offsets.ts';
const PUBLISHED = 'libs/relay/src/published-record.ts';
const READING = 'libs/relay/src/take-over/tail-reading.ts';
const TAKE_OVER = 'libs/relay/src/take-over/take-over.ts';

const takeOver = (only) => ({ path: 'libs/relay/src/take-over/take-over.spec.ts', only });
const offsets = (only) => ({ path: 'libs/relay/src/take-over/lane-offsets.spec.ts', only });

/** Wrong rules of what a new owner does before it publishes; see rules.mjs. */
export const TAKE_OVER_RULES = [
  {
    name: 'take-over-skips-the-tails',
    wrong: 'a new owner does not read what stands at the ends of its lanes',
    test: takeOver('sends nothing that stands at the end of a lane already'),
    edits: [edit(TAKE_OVER, 'if (isOwnPartition(route.shard, lane.partition)) {', 'if (lane.partition < 0) {')],
  },
  {
    name: 'take-over-goes-by-the-position-alone',
    wrong: 'another event of the same position counts as published',
    test: takeOver('is not misled by the record of another event of the same position'),
    edits: [edit(FOUND, 'this.ids.get(position) === id', "this.ids.has(position) && id !== ''")],
  },
  {
    name: 'take-over-mistakes-the-route',
    wrong: "another route's record of an event counts as our own",
    test: takeOver('is not misled by the record of another route'),
    edits: [
      edit(PUBLISHED, '(route !== shard.of && !route.startsWith(`${shard.of}/`))', "(route === '' && shard.of !== '')"),
    ],
  },
  {
    name: 'take-over-sends-before-it-has-read',
    wrong: 'a lane may be sent to while its end is being read',
    test: takeOver('sends to a lane only after its end was read'),
    edits: [edit(TAKE_OVER, 'return this.isInert || this.doors.isOpen(lane.id);', "return !this.doors.isOpen('');")],
  },
  {
    name: 'take-over-opens-lanes-one-by-one',
    wrong: 'a lane is sent to before an event was found in another one, where its key was before',
    test: takeOver('sends to no lane before, so that it finds'),
    edits: [edit(TAKE_OVER, 'this.doors.gather();', '')],
  },
  {
    name: 'take-over-believes-a-first-look',
    wrong: 'one look at a broker that lags behind stops the route',
    test: takeOver('is looked at more than once'),
    edits: [edit(READING, 'const LOSS_LOOKS = 4;', 'const LOSS_LOOKS = 1;')],
  },
  {
    name: 'take-over-notes-what-is-not-settled',
    wrong: 'the offset of a lane grows with the acknowledgement, before the ledger knows of it',
    test: offsets('grows to the end of a send with the write that settles its last page'),
    edits: [edit(OFFSETS, '(send) => send.page > page)', '(send) => send.page > page + 100)')],
  },
  {
    name: 'take-over-forgets-what-it-found',
    wrong: 'the offset of a lane passes events that were found there and are not settled',
    test: offsets('stays while something that was found in the lane is not settled'),
    edits: [
      edit(OFFSETS, 'if (lane.found.length === 0 && lane.settledTo', 'if (lane.settledTo'),
      edit(OFFSETS, 'return lane.hasChanged && lane.found.length === 0;', 'return lane.hasChanged;'),
    ],
  },
];

function edit(file, find, replace) {
  return { file, find, replace };
}

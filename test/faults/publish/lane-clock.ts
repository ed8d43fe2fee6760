/** The longest time that a lane went without an acknowledgement. */
export interface LaneGap {
  readonly lane: string;
  readonly ms: number;
}

/** When the lanes of a topic were acknowledged, as the relays tell it (preload/lane-acks.ts); give or take 0.1 s. */
export class LaneClock {
  private readonly lastMs = new Map<string, number>();
  private readonly gaps = new Map<string, number>();
  private isRunning = false;
  private heardLines = 0;

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** From here on no lane of these may be without an acknowledgement for long. */
  begin(lanes: readonly string[]): void {
    this.isRunning = true;
    lanes.forEach((lane) => {
      this.lastMs.set(lane, this.now());
      this.gaps.set(lane, 0);
    });
  }

  /** A line of a relay. */
  heard(line: string): void {
    const lane = /^acked (\S+)$/.exec(line)?.[1];
    this.heardLines += Number(lane !== undefined);
    if (this.isRunning && lane !== undefined) {
      this.measure(lane);
      this.lastMs.set(lane, this.now());
    }
  }

  /** Takes no more time; to be called while the load still runs, or its end counts as a gap. */
  end(): void {
    if (this.isRunning) {
      this.isRunning = false;
      [...this.lastMs.keys()].forEach((lane) => {
        this.measure(lane);
      });
    }
  }

  /** Acknowledgements that were told so far; not all of a lane that has many are. */
  get acknowledged(): number {
    return this.heardLines;
  }

  /** Of all lanes the one that waited longest; `undefined` before `begin`. */
  get longest(): LaneGap | undefined {
    return this.longestOf(() => true);
  }

  /** The same, of some lanes. */
  longestOf(isMeant: (lane: string) => boolean): LaneGap | undefined {
    const meant = [...this.gaps].filter(([lane]) => isMeant(lane));
    const [first] = meant.sort(([, a], [, b]) => b - a);
    return first && { lane: first[0], ms: first[1] };
  }

  private measure(lane: string): void {
    const ms = this.now() - (this.lastMs.get(lane) ?? this.now());
    this.gaps.set(lane, Math.max(this.gaps.get(lane) ?? 0, ms));
  }
}

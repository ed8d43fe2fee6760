interface Door {
  readonly opened: Promise<void>;
  readonly open: () => void;
}

/** Which lanes may be sent to, and who waits for which. */
export class LaneDoors {
  private readonly opened = new Set<string>();
  private readonly closed = new Map<string, Door>();

  isOpen(laneId: string): boolean {
    return this.opened.has(laneId);
  }

  /** Somebody waits for it. */
  isWaitedFor(laneId: string): boolean {
    return this.closed.has(laneId);
  }

  open(laneId: string): void {
    this.opened.add(laneId);
    this.closed.get(laneId)?.open();
    this.closed.delete(laneId);
  }

  /** Resolves when the lane is opened, if it ever is. */
  whenOpen(laneId: string): Promise<void> {
    const known = this.closed.get(laneId);
    if (known !== undefined) {
      return known.opened;
    }
    let open: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    this.closed.set(laneId, { opened, open });
    return opened;
  }
}

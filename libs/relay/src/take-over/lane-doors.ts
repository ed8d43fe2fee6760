interface Door {
  readonly opened: Promise<void>;
  readonly open: () => void;
}

/** Which lanes may be sent to, and who waits for which. */
export class LaneDoors {
  private readonly opened = new Set<string>();
  private readonly closed = new Map<string, Door>();
  private ready: Set<string> | null = null;

  isOpen(laneId: string): boolean {
    return this.opened.has(laneId);
  }

  /** It may be opened, and waits for the others. */
  isReady(laneId: string): boolean {
    return this.ready?.has(laneId) ?? false;
  }

  /** From now on lanes that are ready wait for each other, until `openReady`. */
  gather(): void {
    this.ready = new Set();
  }

  /** Opens it now, or with the others that are ready. */
  openSoon(laneId: string): void {
    if (this.ready === null) {
      this.open(laneId);
    } else {
      this.ready.add(laneId);
    }
  }

  /** Opens all that are ready, and from now on each by itself. */
  openReady(): void {
    const ready = this.ready ?? [];
    this.ready = null;
    for (const laneId of ready) {
      this.open(laneId);
    }
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

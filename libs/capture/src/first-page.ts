/** Events of a megabyte each must not make one statement print a gigabyte. */
const FIRST_PAGE_ROWS = 128;

/**
 * How many rows the first page of a claim asks for; outlives the claims of a route. A poll that fails may have asked
 * for more than the server can print in the time it has: the next claim begins with half of it, down to one row, until
 * a poll is answered. Pages grow from there by themselves.
 */
export class FirstPage {
  private startRows = FIRST_PAGE_ROWS;

  get rows(): number {
    return this.startRows;
  }

  pollAnswered(): void {
    this.startRows = FIRST_PAGE_ROWS;
  }

  pollFailed(rowsAsked: number): void {
    this.startRows = Math.max(1, Math.floor(Math.min(this.startRows, rowsAsked) / 2));
  }
}

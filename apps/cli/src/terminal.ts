/** Where commands write: results to `out`, for pipes; progress, notes and errors to `err`, for people. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
}

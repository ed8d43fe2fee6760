import { type Principal } from './principal.js';

/** What the guard reads from a request and leaves in it. */
export interface AdminRequest {
  readonly headers: { readonly authorization?: string };
  readonly ip?: string;
  principal?: Principal;
}

const NAMED_MAX = 100;

/**
 * Names of the statements that handlers run, so that a connection parses and plans each of them once: half of the work of
 * a small insert. Only the first 100 texts of the process are named, as each costs memory in every connection.
 */
export class PreparedNames {
  private readonly names = new Map<string, string>();

  /** What to add to the statement: nothing for a text that has no name. */
  of(text: string): { readonly name?: string } {
    const known = this.names.get(text);
    if (known !== undefined) {
      return { name: known };
    }
    if (this.names.size >= NAMED_MAX) {
      return {};
    }
    const name = `millrace_handler_${this.names.size + 1}`;
    this.names.set(text, name);
    return { name };
  }
}

/** One for the process: connections are shared, and a name must mean one text in all of them. */
export const preparedNames = new PreparedNames();

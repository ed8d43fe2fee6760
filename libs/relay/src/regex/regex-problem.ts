/** What is wrong with a regular expression: `message` goes on after its name, and repeats nothing of it. */
export class RegexProblem extends Error {
  override readonly name = 'RegexProblem';
}

/** A part that Java knows and this does not. */
export function unsupported(what: string, at: number): RegexProblem {
  return new RegexProblem(`has ${what} at character ${at + 1}, which cannot be matched in linear time or is not known`);
}

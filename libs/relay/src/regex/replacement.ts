import { type RegexGroups } from './regex-node.js';
import { RegexProblem } from './regex-problem.js';

/** Text, or the number of a group. */
export type ReplacementPart = string | number;

/** Of a group, and of how many characters it is. */
interface GroupReference {
  readonly group: number;
  readonly length: number;
}

/**
 * Reads a replacement as Java's `Matcher` does: `$1` and `${name}` are groups (of `$12` as many digits count as there
 * are groups), a backslash takes the next character as it is. Throws `RegexProblem`.
 */
export function parseReplacement(text: string, groups: RegexGroups): readonly ReplacementPart[] {
  const parts: ReplacementPart[] = [];
  for (let at = 0; at < text.length;) {
    const character = text.charAt(at);
    if (character === '\\') {
      if (at + 1 === text.length) {
        throw new RegexProblem('ends with a backslash');
      }
      parts.push(text.charAt(at + 1));
      at += 2;
    } else if (character === '$') {
      const { group, length } = groupAt(text.slice(at), groups);
      parts.push(group);
      at += length;
    } else {
      parts.push(character);
      at += 1;
    }
  }
  return parts;
}

function groupAt(text: string, groups: RegexGroups): GroupReference {
  const [reference, name] = /^\$\{([A-Za-z][A-Za-z0-9]*)\}/.exec(text) ?? [];
  if (reference === undefined || name === undefined) {
    return numberedGroup(/^\$(\d*)/.exec(text)?.[1] ?? '', groups);
  }
  const group = groups.names.get(name);
  if (group === undefined) {
    throw new RegexProblem(`names a group that the regex does not have; its named groups are: ${namesOf(groups)}`);
  }
  return { group, length: reference.length };
}

function numberedGroup(digits: string, groups: RegexGroups): GroupReference {
  if (digits === '') {
    throw new RegexProblem('has a $ that is neither $1 nor ${name}; write \\$ for the character');
  }
  let length = 1;
  while (length < digits.length && Number(digits.slice(0, length + 1)) <= groups.count) {
    length += 1;
  }
  const group = Number(digits.slice(0, length));
  if (group > groups.count) {
    throw new RegexProblem(`names a group that the regex does not have; it has ${groups.count}`);
  }
  return { group, length: 1 + length };
}

function namesOf({ names }: RegexGroups): string {
  return names.size === 0 ? 'none' : [...names.keys()].join(', ');
}

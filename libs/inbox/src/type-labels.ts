const UNHANDLED_MAX = 100;
const OTHER = 'other';
const NONE = 'none';
const NAME = /^[\x21-\x7e]{1,200}$/;

/**
 * Event types as labels of metrics. Whoever can write to the topic chooses the types without a handler, so only so many
 * get a label, and only what looks like the name of a type.
 */
export class TypeLabels {
  readonly #unhandled = new Set<string>();

  labelOf(type: string, isUnhandled: boolean): string {
    if (type === '') {
      return NONE;
    }
    if (!isUnhandled || this.#unhandled.has(type)) {
      return type;
    }
    if (this.#unhandled.size >= UNHANDLED_MAX || !NAME.test(type)) {
      return OTHER;
    }
    this.#unhandled.add(type);
    return type;
  }
}

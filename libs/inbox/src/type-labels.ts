const UNHANDLED_MAX = 100;
const OTHER = 'other';
const NONE = 'none';

/** Event types as labels of metrics. Producers choose the types without a handler, so only so many get a label. */
export class TypeLabels {
  readonly #unhandled = new Set<string>();

  labelOf(type: string, isUnhandled: boolean): string {
    if (type === '') {
      return NONE;
    }
    if (!isUnhandled || this.#unhandled.has(type)) {
      return type;
    }
    if (this.#unhandled.size >= UNHANDLED_MAX) {
      return OTHER;
    }
    this.#unhandled.add(type);
    return type;
  }
}

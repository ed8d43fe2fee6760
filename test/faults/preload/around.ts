/** Puts `wrapper` around a method of all objects of a class; it is given the call, the object and the arguments. */
export function around<Name extends string, Args extends unknown[], Result>(
  prototype: Record<Name, (...given: Args) => Promise<Result>>,
  name: Name,
  wrapper: (call: () => Promise<Result>, self: object, given: Args) => Promise<Result>,
): void {
  const original = prototype[name];
  prototype[name] = function (this: object, ...given: Args): Promise<Result> {
    return wrapper(() => original.apply(this, given), this, given);
  };
}

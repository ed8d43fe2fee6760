/** What JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/**
 * `T` where every part of it survives JSON unchanged, and a type that `T` is not assignable to where a part does not:
 * `Date`, `bigint`, `Map`, functions, symbols, `undefined` outside of an optional property, `unknown`.
 */
export type JsonOf<T> = T extends null | boolean | number | string
  ? T
  : T extends readonly (infer Item)[]
    ? readonly JsonOf<Item>[]
    : T extends (...args: never[]) => unknown
      ? never
      : T extends object
        ? { [Name in keyof T]: JsonProperty<T, Name> }
        : never;

/** `undefined` is part of an optional property's type; it is checked when an event is published. */
type JsonProperty<T, Name extends keyof T> =
  Partial<Pick<T, Name>> extends Pick<T, Name> ? JsonOf<Exclude<T[Name], undefined>> | undefined : JsonOf<T[Name]>;

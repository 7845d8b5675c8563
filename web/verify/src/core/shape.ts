/** Shapes of JSON objects: exactly the members named, each with a value that may stand there. */

import { decodeBase64 } from "./bytes.ts";
import type { Json } from "./json.ts";

declare const holding: unique symbol;
/** A check of a value; `T` is the type of the values that pass, and exists for the compiler alone. */
export interface Check<T = any> {
  (value: Json): boolean;
  readonly [holding]?: T;
}
/** An object's members, `[shape]` for an array of them, or a check of the value itself. */
export type Shape = Check | readonly [Shape] | { readonly [member: string]: Shape };
/** The type of the values that have a shape. */
export type Held<S> =
  S extends Check<infer T>
    ? T
    : S extends readonly [infer Item]
      ? Held<Item>[]
      : { -readonly [Member in keyof S]: Held<S[Member]> };

/** Return the value as what its shape makes of it. @throws what `refuse` returns, if it has another one. */
export function held<S extends Shape>(
  value: Json | undefined,
  shape: S,
  refuse: (wrong: string) => Error,
  path = "",
): Held<S> {
  const wrong = misfit(value, shape, path);
  if (wrong !== null) throw refuse(wrong);
  return value as Held<S>;
}

/** Return null if the value has the shape, else what is wrong with it. */
export function misfit(value: Json | undefined, shape: Shape, path = ""): string | null {
  if (typeof shape === "function") {
    if (value !== undefined && shape(value)) return null;
    return `${path || "the value"} cannot be ${shown(value)}`;
  }
  if (Array.isArray(shape)) return misfitItem(value, (shape as readonly [Shape])[0], path);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return `${path || "the value"} must be an object`;
  }
  const members = shape as { readonly [member: string]: Shape };
  for (const name in members) {
    if (!Object.hasOwn(value, name)) return `${path ? `${path}.` : ""}${name} is missing`;
    const wrong = misfit(value[name], members[name] as Shape, path ? `${path}.${name}` : name);
    if (wrong !== null) return wrong;
  }
  for (const name in value) {
    if (!Object.hasOwn(members, name))
      return `${path ? `${path}.` : ""}${name.slice(0, 40)} has no place there`;
  }
  return null;
}

function misfitItem(value: Json | undefined, shape: Shape, path: string): string | null {
  if (!Array.isArray(value)) return `${path || "the value"} must be an array`;
  for (const [index, item] of value.entries()) {
    const wrong = misfit(item, shape, `${path}[${index}]`);
    if (wrong !== null) return wrong;
  }
  return null;
}

function shown(value: Json | undefined): string {
  return (JSON.stringify(value) ?? "absent").slice(0, 80);
}

export const text: Check<string> = (value) => typeof value === "string";
export const integer: Check<number> = (value) => typeof value === "number";
export const count: Check<number> = (value) => typeof value === "number" && value >= 0;
export const ordinal: Check<number> = (value) => typeof value === "number" && value >= 1;
/** Unix milliseconds up to 9999-12-31T23:59:59.999Z: what a calendar of four digits can say. */
export const instant: Check<number> = (value) =>
  typeof value === "number" && value >= 0 && value <= 253_402_300_799_999;
export const anything: Check<Json> = () => true;

export function oneOf<const Values extends readonly Json[]>(...values: Values): Check<Values[number]> {
  const allowed = new Set<Json>(values);
  return (value) => allowed.has(value);
}

export function orNull<T>(check: Check<T>): Check<T | null> {
  return (value) => value === null || check(value);
}

/** Null, or what has the shape. */
export function maybe<S extends Shape>(shape: S): Check<Held<S> | null> {
  return (value) => value === null || misfit(value, shape) === null;
}

/** An array of such values, at least so many. */
export function arrayOf<T>(check: Check<T>, least = 0): Check<T[]> {
  return (value) => Array.isArray(value) && value.length >= least && value.every(check);
}

/** An object of any members whose names match; each has such a value. */
export function mapOf<T>(name: RegExp, check: Check<T>): Check<Record<string, T>> {
  return (value) =>
    isObject(value) && Object.entries(value).every(([key, member]) => name.test(key) && check(member));
}

export function isObject(value: Json | undefined): value is { [name: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function pattern(expression: RegExp): Check<string> {
  return (value) => typeof value === "string" && expression.test(value);
}

/** Standard base64 of so many bytes, in its one spelling. */
export function base64(length: number): Check<string> {
  return (value) => typeof value === "string" && decodeBase64(value)?.length === length;
}

export const hex64 = pattern(/^[0-9a-f]{64}$/);
export const hex32 = pattern(/^[0-9a-f]{32}$/);
/** Base64 of 32 bytes: the last digit carries four bits, its other two are zero. */
export const hash = pattern(/^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/);
/** Standard base64 in its one spelling, of any number of bytes but none. */
export const bytes = pattern(
  /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)$/,
);
export const uuid7 = pattern(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);

const DAY_FORM = /^\d{4}-\d\d-\d\d$/;
const TIME_FORM = /^\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/;

/** A day of the calendar, YYYY-MM-DD, from 1970 on. */
export const day: Check<string> = (value) => {
  if (typeof value !== "string" || !DAY_FORM.test(value) || value < "1970") return false;
  const start = new Date(`${value}T00:00:00.000Z`);
  return !Number.isNaN(start.getTime()) && start.toISOString().startsWith(value);
};

let lastDay = "";
/** YYYY-MM-DDThh:mm:ss.mmmZ of a day of the calendar. */
export const time: Check<string> = (value) => {
  if (typeof value !== "string" || !TIME_FORM.test(value)) return false;
  const itsDay = value.slice(0, 10);
  // Nearly all times of a pack are of one day: it is looked up once.
  if (itsDay !== lastDay) {
    if (!day(itsDay)) return false;
    lastDay = itsDay;
  }
  return true;
};

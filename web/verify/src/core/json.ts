/**
 * Canonical JSON (RFC 8785) over the subset of docs/formats.md: no floats, integers below 2^53, ASCII
 * member names, at most 32 deep.
 *
 * Bytes are canonical if writing their value gives them again. That one comparison refuses duplicate
 * members, white space, other spellings of numbers and escapes, and every integer that a double cannot
 * hold.
 */

import { Bad } from "./bad.ts";
import { type Bytes, textOf } from "./bytes.ts";

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

const MAX_DEPTH = 32;
const ASCII = /^[\x00-\x7f]*$/;
const PLAIN = /^[ !#-[\]-~]*$/;

class OutsideSubset extends Error {}

/** Return the canonical text of a value. @throws OutsideSubset if it has none here. */
export function canonical(value: Json): string {
  return write(value, 0);
}

function write(value: Json, depth: number): string {
  switch (typeof value) {
    case "string":
      if (!value.isWellFormed()) throw new OutsideSubset("a string holds half of a surrogate pair");
      return quote(value);
    case "number":
      if (!Number.isSafeInteger(value)) throw new OutsideSubset("a number is no integer below 2^53");
      return String(value);
    case "boolean":
      return value ? "true" : "false";
  }
  if (value === null) return "null";
  if (depth === MAX_DEPTH) throw new OutsideSubset(`the value is nested deeper than ${MAX_DEPTH}`);
  if (Array.isArray(value)) return `[${value.map((item) => write(item, depth + 1)).join(",")}]`;
  let text = "";
  // Code units sort like code points here: names are ASCII.
  for (const name of Object.keys(value).sort()) {
    text += `${text && ","}${quotedName(name)}:${write(value[name] as Json, depth + 1)}`;
  }
  return `{${text}}`;
}

/** Return a string as RFC 8785 and ECMAScript write it; most have nothing to escape. */
function quote(value: string): string {
  return PLAIN.test(value) ? `"${value}"` : JSON.stringify(value);
}

// Nearly all names of a pack are the same few.
const names = new Map<string, string>();
const MAX_NAMES = 1024;

function quotedName(name: string): string {
  const known = names.get(name);
  if (known !== undefined) return known;
  if (!ASCII.test(name)) throw new OutsideSubset("a member name is not ASCII");
  const quoted = quote(name);
  if (names.size < MAX_NAMES) names.set(name, quoted);
  return quoted;
}

/**
 * Return the value of canonical bytes.
 *
 * @param code of the refusal, where a file has one of its own
 * @throws Bad `not_canonical`, or the code given
 */
export function parseCanonical(
  file: string,
  data: Bytes,
  line: number | null = null,
  code = "not_canonical",
): Json {
  const refuse = (reason: string): Bad => new Bad(code, file, reason, line);
  let text: string;
  try {
    text = textOf(data);
  } catch {
    throw refuse("is not UTF-8");
  }
  let value: Json;
  let written: string;
  try {
    value = JSON.parse(text) as Json;
    written = canonical(value);
  } catch (error) {
    if (error instanceof OutsideSubset) throw refuse(`is outside the canonical subset: ${error.message}`);
    throw refuse("is not JSON");
  }
  if (written !== text) throw refuse("is JSON, but not in canonical form (RFC 8785)");
  return value;
}

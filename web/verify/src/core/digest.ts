/**
 * SHA-256, from two hands.
 *
 * WebCrypto is five times as fast on a receipt and can be awaited many at a time, but takes no pieces and
 * costs microseconds a call: tree nodes, and members too large to hold, go through noble's.
 */

import { sha256 as noble } from "@noble/hashes/sha2.js";
import type { Bytes } from "./bytes.ts";

/** A member up to this size is hashed in one piece. */
const WHOLE = 256 * 1024 * 1024;

/** Return SHA-256 of short input, at once. */
export function sha256(data: Uint8Array): Bytes {
  return noble(data) as Bytes;
}

/** Return SHA-256, computed by the platform. */
export async function digest(data: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data));
}

/** Return SHA-256 of chunks whose sizes add up to `size`. */
export async function digestOfChunks(chunks: AsyncIterable<Bytes>, size: number): Promise<Bytes> {
  if (size > WHOLE) {
    const state = noble.create();
    for await (const chunk of chunks) state.update(chunk);
    return state.digest() as Bytes;
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for await (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return digest(whole);
}

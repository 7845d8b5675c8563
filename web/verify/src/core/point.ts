/**
 * Which encodings of points on Ed25519's curve are taken for a log's key.
 *
 * Under a key of small order a forger can sign, and nothing in RFC 8032's verification refuses it. Asked for
 * verification under the neutral point, Chromium 156 and Firefox 153 both took it, though the standard of
 * WebCrypto refuses it (https://wicg.github.io/webcrypto-secure-curves/#ed25519-operations); spelled with y
 * not reduced, or with the sign of an x that is 0, Chromium took it and Firefox did not. So the question is
 * settled here, before a browser is asked.
 */

import type { Bytes } from "./bytes.ts";

/** The field's prime. */
const P = 2n ** 255n - 19n;
const SIGN = 1n << 255n;
/** One of the two y coordinates of the four points of order 8; the other is its negative. */
const ORDER_8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022n;
/** y of all eight points whose order divides 8: the neutral one, that of order 2, those of 4 and of 8. */
const SMALL_ORDER: ReadonlySet<bigint> = new Set([1n, P - 1n, 0n, ORDER_8, P - ORDER_8]);

/** Return what is wrong with 32 bytes as the encoding of a point, to be read after its name; null if nothing. */
export function faultOfPoint(encoded: Bytes): string | null {
  let y = 0n;
  for (const byte of encoded.toReversed()) y = (y << 8n) | BigInt(byte);
  // The sign of x. Where x is 0 it must be clear, but both points of which that is so are of small order.
  y &= SIGN - 1n;
  if (y >= P) return "is not the canonical encoding of a point";
  return SMALL_ORDER.has(y) ? "is a point of small order, under which a forger can sign" : null;
}

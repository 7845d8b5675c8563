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
/** The curve's constant, -121665/121666. */
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;
/** One of the two y coordinates of the four points of order 8; the other is its negative. */
const ORDER_8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022n;
/** y of all eight points whose order divides 8: the neutral one, that of order 2, those of 4 and of 8. */
const SMALL_ORDER: ReadonlySet<bigint> = new Set([1n, P - 1n, 0n, ORDER_8, P - ORDER_8]);

/** Return what is wrong with 32 bytes as the encoding of a point, to be read after its name; null if nothing. */
export function faultOfPoint(encoded: Bytes): string | null {
  const y = yOf(encoded);
  if (y >= P) return "is not the canonical encoding of a point";
  return SMALL_ORDER.has(y) ? "is a point of small order, under which a forger can sign" : null;
}

/** Tell whether there is an x to the y of 32 bytes that have no fault (RFC 8032, section 5.1.3). */
export function isPoint(encoded: Bytes): boolean {
  const y = yOf(encoded);
  const square = (y * y) % P;
  let [base, exponent, power] = [((square - 1n + P) * (D * square + 1n)) % P, (P - 1n) / 2n, 1n];
  for (; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) power = (power * base) % P;
    base = (base * base) % P;
  }
  return power === 1n;
}

function yOf(encoded: Bytes): bigint {
  let y = 0n;
  for (const byte of encoded.toReversed()) y = (y << 8n) | BigInt(byte);
  // The sign of x. Where x is 0 it must be clear, but both points of which that is so are of small order.
  return y & (SIGN - 1n);
}

/**
 * Which encodings of points on Ed25519's curve are taken for a key: a log's, and with more demands a caller's.
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
/** The order of the base point. */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
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

/**
 * Tell whether 32 bytes that have no fault are a point whose order is the base point's, L.
 *
 * The ladder of RFC 7748, section 5, on u = (1 + y)/(1 - y): L times such a point is the neutral one, which has
 * z = 0. A point of mixed order is no such, nor is what is no point of the curve: it is one of the curve's twist,
 * whose order L does not divide.
 */
export function hasOrderL(encoded: Bytes): boolean {
  const y = yOf(encoded);
  const u = modulo((1n + y) * inverse(modulo(1n - y)));
  let [x2, z2, x3, z3] = [1n, 0n, u, 1n];
  for (const bit of L.toString(2)) {
    if (bit === "1") [x2, z2, x3, z3] = [x3, z3, x2, z2];
    const [plus, minus] = [modulo((x2 + z2) ** 2n), modulo((x2 - z2) ** 2n)];
    const [da, cb] = [modulo((x3 - z3) * (x2 + z2)), modulo((x3 + z3) * (x2 - z2))];
    const e = plus - minus;
    [x2, z2] = [modulo(plus * minus), modulo(e * (plus + 121665n * e))];
    [x3, z3] = [modulo((da + cb) ** 2n), modulo(u * (da - cb) ** 2n)];
    if (bit === "1") [x2, z2, x3, z3] = [x3, z3, x2, z2];
  }
  return z2 === 0n;
}

function modulo(value: bigint): bigint {
  return ((value % P) + P) % P;
}

/** Return 1/value (Fermat): value to the power of P - 2. */
function inverse(value: bigint): bigint {
  let [base, power] = [value, 1n];
  for (let exponent = P - 2n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) power = (power * base) % P;
    base = (base * base) % P;
  }
  return power;
}

function yOf(encoded: Bytes): bigint {
  let y = 0n;
  for (const byte of encoded.toReversed()) y = (y << 8n) | BigInt(byte);
  // The sign of x. Where x is 0 it must be clear, but both points of which that is so are of small order.
  return y & (SIGN - 1n);
}

/** The suites in which callers sign: docs/formats.md, "What a transcript is held to". */

import { sha512 } from "@noble/hashes/sha2.js";
import { ml_dsa65 } from "@noble/post-quantum/ml-dsa.js";
import { type Bytes, concat, utf8 } from "./bytes.ts";
import { sha256 } from "./digest.ts";
import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from "./formats.ts";
import { faultOfPoint, hasOrderL } from "./point.ts";
import { verifies } from "./signatures.ts";

const CURVE = { name: "ECDSA", namedCurve: "P-256" };
const HALF = 32;
const DOMAIN = "CompositeAlgorithmSignatures2025";
const LABELS: Readonly<Record<string, string>> = {
  "ed25519+ml-dsa-65": "COMPSIG-MLDSA65-Ed25519-SHA512",
  "ecdsa-p256+ml-dsa-65": "COMPSIG-MLDSA65-ECDSA-P256-SHA512",
};

/** A caller's public key, as the reader got it from the caller. */
export interface CallerKey {
  readonly alg: string;
  readonly raw: Bytes;
}

/** Tell whether a caller may have this key: of a suite, in its one form, and not one that a forger can sign for. */
export async function isUsable({ alg, raw }: CallerKey): Promise<boolean> {
  const keyAt = PUBLIC_KEY_BYTES["ml-dsa-65"];
  const [first, other] = [raw.slice(0, keyAt), raw.slice(keyAt)];
  switch (alg) {
    case "ed25519":
      return raw.length === HALF && faultOfPoint(raw) === null && hasOrderL(raw);
    case "ecdsa-p256-sha256":
      return (await curveKey(raw)) !== null;
    case "ml-dsa-65":
      // With t1 = 0, all that comes after rho, a signature needs no secret.
      return raw.length === keyAt && raw.slice(HALF).some((byte) => byte !== 0);
    case "ed25519+ml-dsa-65":
      return (await isUsable({ alg: "ml-dsa-65", raw: first })) && isUsable({ alg: "ed25519", raw: other });
    case "ecdsa-p256+ml-dsa-65":
      return (
        (await isUsable({ alg: "ml-dsa-65", raw: first })) &&
        isUsable({ alg: "ecdsa-p256-sha256", raw: other })
      );
    default:
      return false;
  }
}

/**
 * Tell whether a caller signed a message; what is malformed does not verify.
 *
 * @param classical whether only the half that is not ML-DSA counts
 */
export async function signedBy(
  { alg, raw }: CallerKey,
  message: Bytes,
  signature: Bytes,
  classical: boolean,
): Promise<boolean> {
  const label = LABELS[alg];
  if (label === undefined) return single(alg, raw, message, signature);
  const context = concat(utf8("signet-pch-v1"), sha256(raw));
  const represented = concat(utf8(DOMAIN + label), Uint8Array.of(context.length), context, sha512(message));
  const [keyAt, signatureAt] = [PUBLIC_KEY_BYTES["ml-dsa-65"], SIGNATURE_BYTES["ml-dsa-65"]];
  const other = alg === "ed25519+ml-dsa-65" ? "ed25519" : "ecdsa-der";
  const half = await single(other, raw.slice(keyAt), represented, signature.slice(signatureAt));
  if (classical || !half) return half;
  try {
    const options = { context: utf8(label) };
    return ml_dsa65.verify(signature.slice(0, signatureAt), represented, raw.slice(0, keyAt), options);
  } catch {
    return false;
  }
}

async function single(alg: string, raw: Bytes, message: Bytes, signature: Bytes): Promise<boolean> {
  switch (alg) {
    case "ed25519":
      return raw.length === HALF && faultOfPoint(raw) === null && verifies(alg, raw, signature, message);
    case "ml-dsa-65":
      return verifies(alg, raw, signature, message);
    case "ecdsa-p256-sha256":
      return onCurve(raw, message, signature);
    case "ecdsa-der": {
      const pair = pairOf(signature);
      return pair !== null && onCurve(raw, message, pair);
    }
    default:
      return false;
  }
}

async function onCurve(raw: Bytes, message: Bytes, pair: Bytes): Promise<boolean> {
  const key = await curveKey(raw);
  if (key === null || pair.length !== 2 * HALF) return false;
  try {
    return await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, pair, message);
  } catch {
    return false;
  }
}

/** Return the key of an uncompressed point; null of other bytes. */
async function curveKey(raw: Bytes): Promise<CryptoKey | null> {
  if (raw.length !== 1 + 2 * HALF || raw[0] !== 4) return null;
  try {
    return await crypto.subtle.importKey("raw", raw, CURVE, false, ["verify"]);
  } catch {
    return null;
  }
}

/** Return r and s, 32 bytes each, of a signature in strict DER; null if it is in no such form. */
function pairOf(der: Bytes): Bytes | null {
  if (der.length < 8 || der[0] !== 0x30 || der[1] !== der.length - 2) return null;
  const numbers: Bytes[] = [];
  let at = 2;
  for (let count = 0; count < 2; count++) {
    const size = der[at + 1] ?? 0;
    const value = der.slice(at + 2, at + 2 + size);
    if (der[at] !== 2 || size === 0 || value.length !== size) return null;
    const [first, second] = [value[0] as number, value[1] ?? 0x80];
    // The shortest form: a zero stands before a set top bit only, and none is negative.
    if (first >= 0x80 || (first === 0 && size > 1 && second < 0x80)) return null;
    const digits = first === 0 ? value.slice(1) : value;
    if (digits.length > HALF) return null;
    numbers.push(concat(new Uint8Array(HALF - digits.length), digits));
    at += 2 + size;
  }
  return at === der.length ? concat(...numbers) : null;
}

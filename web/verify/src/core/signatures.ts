/** The three signature algorithms: Ed25519 of the browser, ML-DSA of @noble/post-quantum. */

import { ml_dsa44, ml_dsa65 } from "@noble/post-quantum/ml-dsa.js";
import type { Bytes } from "./bytes.ts";
import { type Algorithm, SIGNATURE_BYTES } from "./formats.ts";

const ED25519 = { name: "Ed25519" };

/** Return null if this browser can check packs, else what to do about it. */
export async function obstacle(): Promise<string | null> {
  if (typeof DecompressionStream === "undefined" || typeof "".isWellFormed !== "function") {
    return "This browser is too old to read packs. Use Chrome or Edge 137, Firefox 129, Safari 17.4, or newer.";
  }
  if (globalThis.crypto?.subtle === undefined) {
    return "The browser offers no cryptography to pages from plain http. Save this page and open the file, or serve it by https.";
  }
  try {
    await crypto.subtle.importKey("raw", new Uint8Array(32), ED25519, false, ["verify"]);
    return null;
  } catch {
    return "This browser cannot check Ed25519 signatures. Use Chrome or Edge 137, Firefox 129, Safari 17.4, or newer.";
  }
}

/** Tell whether a signature verifies (RFC 8032; FIPS 204, pure, empty context); whatever is malformed does not. */
export async function verifies(
  alg: Algorithm,
  key: Bytes,
  signature: Bytes,
  message: Bytes,
): Promise<boolean> {
  if (signature.length !== SIGNATURE_BYTES[alg]) return false;
  try {
    if (alg === "ed25519") {
      const imported = await crypto.subtle.importKey("raw", key, ED25519, false, ["verify"]);
      return await crypto.subtle.verify(ED25519, imported, signature, message);
    }
    return (alg === "ml-dsa-65" ? ml_dsa65 : ml_dsa44).verify(signature, message, key);
  } catch {
    return false;
  }
}

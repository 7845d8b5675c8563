/** The three signature algorithms: Ed25519 of the browser, ML-DSA of @noble/post-quantum. */

import { ml_dsa44, ml_dsa65 } from "@noble/post-quantum/ml-dsa.js";
import type { Bytes } from "./bytes.ts";
import { type Algorithm, SIGNATURE_BYTES } from "./formats.ts";

const ED25519 = { name: "Ed25519" };

const NEWER = "Use Chrome or Edge 137, Firefox 129, Safari 18, or newer.";

/** Return null if this browser can check packs, else what to do about it. */
export async function obstacle(): Promise<string | null> {
  if (globalThis.crypto?.subtle === undefined) {
    return "Browsers offer no cryptography to pages from plain http. Save this page and open the file, or serve it by https.";
  }
  if (typeof DecompressionStream === "undefined" || typeof "".isWellFormed !== "function") {
    return `This browser is too old to read packs. ${NEWER}`;
  }
  if (!(await refusesTrailingBytes())) {
    return `This browser's decompression passes over bytes after the data, so it cannot judge a zip. ${NEWER}`;
  }
  try {
    await crypto.subtle.importKey("raw", new Uint8Array(32), ED25519, false, ["verify"]);
    return null;
  } catch {
    return `This browser cannot check Ed25519 signatures. ${NEWER}`;
  }
}

/** Tell whether bytes after deflated data are an error here, as the Compression Standard wants. */
async function refusesTrailingBytes(): Promise<boolean> {
  const empty = [3, 0]; // a final block of nothing
  for (const chunks of [[[...empty, 0]], [empty, [0]]]) {
    const parts = new ReadableStream<Bytes>({
      start(controller) {
        for (const chunk of chunks) controller.enqueue(Uint8Array.from(chunk));
        controller.close();
      },
    });
    const inflated = new Response(parts.pipeThrough(new DecompressionStream("deflate-raw"))).arrayBuffer();
    if (
      await inflated.then(
        () => true,
        () => false,
      )
    )
      return false;
  }
  return true;
}

/** Tell whether a signature verifies (RFC 8032; FIPS 204, pure, empty context); what is malformed does not. */
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

// Lets the orders API see only what Signet's authorizer let in, with the body that was signed. The authorizer never
// sees a body: only the function that receives it can compare it with the signed digest.
import { createHash, timingSafeEqual } from "node:crypto";
import { answer, handler as orders } from "./app.mjs";

const HASHES = { "sha-256": "sha256", "sha-512": "sha512" };

export async function handler(event, context) {
  const granted = event.requestContext?.authorizer ?? {};
  if (!granted.keyid || !granted.receipt_id) return answer(403, { error: "not_authorized" });
  const body = Buffer.from(event.body ?? "", event.isBase64Encoded ? "base64" : "utf8");
  if (!isSigned(body, granted.content_digest)) return answer(400, { error: "digest_mismatch" });
  return orders({ ...event, body: body.toString("utf8"), isBase64Encoded: false }, context);
}

// Whether a Content-Digest (`sha-256=:…:`, `sha-512=:…:`, or both) is the body's; without one there may be no body.
function isSigned(body, field) {
  if (field === undefined || field === null) return body.length === 0;
  return field.split(", ").every((member) => {
    const [name] = member.split("=", 1);
    if (!Object.hasOwn(HASHES, name)) return false;
    const own = Buffer.from(`${name}=:${createHash(HASHES[name]).update(body).digest("base64")}:`);
    const signed = Buffer.from(member);
    return signed.length === own.length && timingSafeEqual(signed, own);
  });
}

// The assertion: the authorizer's signature over what it let through (docs/backends.md has its form).
// Received bytes are verified before they are parsed.
import { createHash, createPublicKey, timingSafeEqual, verify } from "node:crypto";

export const LIFETIME_S = 60;
export const SKEW_S = 5;
const MAX_CHARS = 8192;
const FORM = /^v1\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{86})$/;
const TEXTS = ["api", "route", "method", "path", "keyid", "alg", "receipt_id"];
const OPTIONAL = ["query_sha256", "content_digest", "ticket", "nonce"];
const TIMES = ["iat", "exp"];
const MEMBERS = [...TEXTS, ...OPTIONAL, ...TIMES].sort();
// DER of a SubjectPublicKeyInfo for Ed25519 (RFC 8410 section 4), up to the key's 32 bytes.
const SPKI = Buffer.from("302a300506032b6570032100", "hex");
const P = 2n ** 255n - 19n;
const ORDER_8_Y = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
const LOW_ORDER_Y = [0n, 1n, P - 1n, ORDER_8_Y, P - ORDER_8_Y];
const L = 2n ** 252n + 27742317777372353535851937790883648493n; // order of the base point

/** A request that is refused: `code` for programs, `status` for HTTP. */
export class Refused extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
    this.status = { not_authorized: 403, body_too_large: 413 }[code] ?? 400;
  }
}

const refused = (why) => new Refused("not_authorized", `the assertion is refused: ${why}`);

/** Reads one or two public keys, each 32 bytes in base64; throws a TypeError for anything else. */
export function readKeys(keys) {
  if (!Array.isArray(keys) || keys.length < 1 || keys.length > 2)
    throw new TypeError("give a list of one assertion key, or of two during a rotation");
  return keys.map((text) => {
    const raw = Buffer.from(String(text), "base64");
    const y = BigInt("0x" + (Buffer.from(raw).reverse().toString("hex") || "0")) & (2n ** 255n - 1n);
    // Under a key of low order a signature needs no secret; a y of p or more is a second encoding.
    const sound = raw.length === 32 && raw.toString("base64") === text && y < P && !LOW_ORDER_Y.includes(y);
    if (!sound || !hasOrderL(y))
      throw new TypeError("an assertion key is not the base64 of an Ed25519 public key");
    return createPublicKey({ key: Buffer.concat([SPKI, raw]), format: "der", type: "spki" });
  });
}

/**
 * Tells whether L times the point with this y is the neutral one: no point of mixed order, under which libraries
 * differ, and none beside the curve. The ladder of RFC 7748 section 5 on u = (1 + y)/(1 - y); y is not 1 or -1.
 */
function hasOrderL(y) {
  const mod = (value) => ((value % P) + P) % P;
  let [base, inverse] = [mod(1n - y), 1n];
  for (let rest = P - 2n; rest > 0n; rest >>= 1n, base = mod(base * base))
    if (rest & 1n) inverse = mod(inverse * base);
  const u = mod((1n + y) * inverse);
  let [one, two] = [[1n, 0n], [u, 1n]]; // multiples of the point as x and z; two is one more than one
  for (const bit of L.toString(2)) {
    const [[x2, z2], [x3, z3]] = bit === "1" ? [two, one] : [one, two];
    const [plus, minus] = [mod((x2 + z2) ** 2n), mod((x2 - z2) ** 2n)];
    const [da, cb] = [mod((x3 - z3) * (x2 + z2)), mod((x3 + z3) * (x2 - z2))];
    const doubled = [mod(plus * minus), mod((plus - minus) * (plus + 121665n * (plus - minus)))];
    const sum = [mod((da + cb) ** 2n), mod(u * (da - cb) ** 2n)];
    [one, two] = bit === "1" ? [sum, doubled] : [doubled, sum];
  }
  return one[1] === 0n;
}

/** Returns the members of a good assertion; throws Refused. `now` is Unix seconds. */
export function verifyAssertion(value, keys, now) {
  const form = value.length <= MAX_CHARS ? FORM.exec(value) : null;
  if (!form) throw refused("it is not of the form v1.<payload>.<signature>");
  const [payload, signature] = [form[1], form[2]].map((text) => {
    const data = Buffer.from(text, "base64url");
    if (data.toString("base64url") !== text) throw refused("it is not base64url in its one encoding");
    return data;
  });
  const signed = Buffer.concat([Buffer.from("signet-assertion-v1\n"), payload]);
  if (!keys.some((key) => verify(null, signed, key, signature)))
    throw refused("none of the assertion keys signed it");
  const members = parse(payload);
  checkMembers(members);
  if (!(members.iat - SKEW_S <= now && now < members.exp + SKEW_S))
    throw refused("it is not good at this time");
  return members;
}

function parse(payload) {
  let members;
  try {
    members = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload));
  } catch {
    throw refused("its payload is not canonical JSON");
  }
  if (members === null || typeof members !== "object" || Array.isArray(members))
    throw refused("it has not exactly the members of version 1");
  // RFC 8785 for a flat object with ASCII names: sorted names, JSON.stringify's spelling of the values.
  const sorted = Object.fromEntries(
    Object.keys(members)
      .sort()
      .map((name) => [name, members[name]]),
  );
  if (!Buffer.from(JSON.stringify(sorted)).equals(payload))
    throw refused("its payload is not canonical JSON");
  return members;
}

function checkMembers(members) {
  const names = Object.keys(members).sort();
  if (names.length !== MEMBERS.length || names.some((name, at) => name !== MEMBERS[at]))
    throw refused("it has not exactly the members of version 1");
  for (const [name, value] of Object.entries(members)) {
    const good = TIMES.includes(name)
      ? Number.isSafeInteger(value) && value !== 0
      : (typeof value === "string" && value !== "" && value.isWellFormed()) || (value === null && OPTIONAL.includes(name));
    if (!good) throw refused(`its member ${name} has no value of its type`);
  }
  if (members.query_sha256 !== null && !/^[0-9a-f]{64}$/.test(members.query_sha256))
    throw refused("its query_sha256 is no SHA-256");
  const life = members.exp - members.iat;
  if (!(life > 0 && life <= LIFETIME_S)) throw refused(`it is good for longer than ${LIFETIME_S} seconds`);
}

/** Holds a body (a Buffer) to the signed Content-Digest (a string, or null); throws Refused. */
export function checkBody(field, body) {
  const mismatch = (why) => new Refused("digest_mismatch", why);
  if (field === null || field === undefined) {
    if (body.length) throw mismatch("a body needs a signed Content-Digest");
    return;
  }
  if (typeof field !== "string") throw mismatch("the signed Content-Digest is not text");
  const seen = new Set();
  for (const member of field.split(", ")) {
    const match = /^(sha-256|sha-512)=:([A-Za-z0-9+/]+={0,2}):$/.exec(member);
    if (!match || seen.has(match[1])) throw mismatch("the Content-Digest field is malformed");
    seen.add(match[1]);
    const expected = Buffer.from(createHash(match[1].replace("-", "")).update(body).digest("base64"));
    const given = Buffer.from(match[2]);
    if (given.length !== expected.length || !timingSafeEqual(given, expected))
      throw mismatch("the body does not match the signed Content-Digest");
  }
}

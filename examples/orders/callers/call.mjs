// node call.mjs METHOD URL [BODY] --key PEM --keyid NAME [--challenge-url URL]: one signed request, Node.js 20 or newer only.
import { createHash, createPrivateKey, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

const text = { type: "string" };
const options = { key: text, keyid: text, "challenge-url": text };
const { values: given, positionals } = parseArgs({ options, allowPositionals: true });
const challengeUrl = given["challenge-url"];
const [method, address, content = ""] = [positionals[0]?.toUpperCase(), ...positionals.slice(1)];
if (!address || !given.key || !given.keyid) fail("usage: call METHOD URL [BODY] --key PEM --keyid NAME [--challenge-url URL]");
const key = createPrivateKey(readFileSync(given.key)); // Ed25519, PKCS#8
if (key.asymmetricKeyType !== "ed25519") fail(`${given.key} holds no Ed25519 key`);

function fail(message) {
  console.error(message);
  process.exit(1);
}

// Leaves letters, digits and -._~
function escape(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

// The target in the one spelling that both sides sign: names sorted, all but unreserved characters escaped.
const target = new URL(address);
const fields = [...target.searchParams].map((field) => field.map(escape));
fields.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
const query = fields.map((field) => field.join("=")).join("&");
[target.search, target.hash] = [query, ""];

// The parameters of WWW-Authenticate: PCH …; REST APIs rename that field of a function's answer.
function challengeIn(answer) {
  for (const name of ["www-authenticate", "x-amzn-remapped-www-authenticate"]) {
    const field = answer.headers.get(name) ?? "";
    const params = field.matchAll(/([\w-]+)=(?:"([ !#-~]*)"|([\w.~+/-]+))/g);
    const found = Object.fromEntries([...params].map((m) => [m[1].toLowerCase(), m[2] ?? m[3]]));
    if (/^pch /i.test(field) && found.nonce) return found;
  }
  return undefined;
}

// The header fields of a request that answers a challenge (RFC 9421).
function signed(challenge) {
  const headers = content ? { "content-type": "application/json" } : {};
  const asked = (challenge.components ?? "").split(" ");
  if (content || ["POST", "PUT", "PATCH"].includes(method) || asked.includes("content-digest")) {
    headers["content-digest"] = `sha-256=:${createHash("sha256").update(content).digest("base64")}:`;
  }
  const values = { "@method": method, "@authority": target.host, "@path": target.pathname, "@query": `?${query}`, ...headers };
  const created = Math.floor(Date.now() / 1000);
  const expires = created + Math.min(60, Number(challenge["max-age"] ?? 60));
  const covered = Object.keys(values).map((name) => `"${name}"`).join(" ");
  const params =
    `(${covered});created=${created};expires=${expires};nonce="${challenge.nonce}"` +
    `;keyid="${given.keyid}";alg="ed25519";tag="pch-lite"`;
  const lines = Object.entries(values).map(([name, value]) => `"${name}": ${value}`);
  const base = [...lines, `"@signature-params": ${params}`].join("\n");
  const signature = sign(null, Buffer.from(base), key).toString("base64");
  return { ...headers, "signature-input": `pch=${params}`, signature: `pch=:${signature}:` };
}

// A challenge from where they can always be had.
async function fetched() {
  const challenge = challengeUrl ? challengeIn(await request(challengeUrl, {})) : undefined;
  return challenge ?? fail("no challenge: give --challenge-url, the address of Signet's /pch/challenge");
}

function request(url, init) {
  return fetch(url, { redirect: "manual", signal: AbortSignal.timeout(30_000), ...init }); // a proof is for one address
}

function send(proof) {
  const headers = content ? { "content-type": "application/json", ...proof } : proof;
  return request(target, { method, headers, body: content ? Buffer.from(content) : undefined });
}

let answer = await send(challengeUrl ? signed(await fetched()) : {});
const again = challengeIn(answer);
if (!challengeUrl && [401, 403].includes(answer.status)) answer = await send(signed(again ?? (await fetched())));
else if (again?.error?.startsWith("nonce_")) answer = await send(signed(again)); // too old, or spent: once more
console.log(answer.status, (await answer.text()).replace(/[^\P{C}\n\t]/gu, "?"));
if (!answer.ok) fail(`refused: ${challengeIn(answer)?.error ?? `status ${answer.status}`}`);

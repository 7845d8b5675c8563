// node call.mjs URL CHALLENGE_URL KEY_FILE KEY_ID ALG [CONTENT]: one signed request with WebCrypto, its answer as JSON.
import { webcrypto } from "node:crypto";
import { readFile } from "node:fs/promises";
import { httpbis } from "http-message-signatures";

const WEBCRYPTO = {
  ed25519: { name: "Ed25519" },
  "ecdsa-p256-sha256": { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
};
const [address, challengeUrl, keyFile, keyid, alg, content] = process.argv.slice(2);

// The query in the one spelling that is signed: names sorted, all but unreserved characters escaped.
const escape = (text) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
const target = new URL(address);
const query = [...target.searchParams].map((field) => field.map(escape));
query.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
target.search = query.map((field) => field.join("=")).join("&");
const url = target.href;

const pem = await readFile(keyFile, "ascii");
const der = Buffer.from(pem.replace(/-----[^-]+-----/g, ""), "base64");
const key = await webcrypto.subtle.importKey("pkcs8", der, WEBCRYPTO[alg], false, ["sign"]);
const sign = async (data) => Buffer.from(await webcrypto.subtle.sign(WEBCRYPTO[alg], key, data));

const { nonce, max_age: maxAge } = await (await fetch(challengeUrl)).json();
const request = { method: content === undefined ? "GET" : "POST", url, headers: {} };
const fields = ["@method", "@authority", "@path", "@query"];
if (content !== undefined) {
  const digest = Buffer.from(await webcrypto.subtle.digest("SHA-256", Buffer.from(content)));
  request.headers["content-digest"] = `sha-256=:${digest.toString("base64")}:`;
  request.headers["content-type"] = "application/json"; // fetch would add its own for text, unsigned
  fields.push("content-digest", "content-type");
}
const created = new Date();
const signed = await httpbis.signMessage(
  {
    key: { id: keyid, alg, sign },
    name: "pch",
    fields,
    params: ["created", "expires", "nonce", "keyid", "alg", "tag"],
    paramValues: { created, expires: new Date(created.getTime() + 1000 * Math.min(60, maxAge)), nonce, tag: "pch-lite" },
  },
  request,
);
const answer = await fetch(url, { method: signed.method, headers: signed.headers, body: content });
console.log(JSON.stringify({ status: answer.status, body: await answer.text() }));

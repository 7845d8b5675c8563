// The guard for Express, before every parser of bodies:
//   app.use(signetGuard({ assertionKeys: ["…"], api: "orders" }));
// Then `req.signet` holds the verified facts and `req.body` the bytes, as a Buffer.
import { createHash } from "node:crypto";
import { told } from "./answers.mjs";
import { Refused, checkBody, readKeys, verifyAssertion } from "./assertion.mjs";
import { isFailure, OutcomeSender, watch } from "./outcomes.mjs";

const MAX_BODY = 10 * 1024 * 1024;
const REMEMBERED = 65_536;
const PLAIN = { api: "signet-api", route: "signet-route", keyid: "signet-keyid" };
Object.assign(PLAIN, { receipt_id: "signet-receipt-id", content_digest: "signet-content-digest" });
Object.assign(PLAIN, { ticket: "signet-ticket", nonce: "signet-nonce" });
const denied = (why) => new Refused("not_authorized", why);

/**
 * Makes the middleware. `assertionKeys`: one or two public keys in base64. With them `api`: name of the API that
 * this server answers for; an assertion for another one opens nothing here. Without them `privateNetwork: true`:
 * plain fields are believed, because nothing but the gateway reaches this server. `basePath`: what stands before
 * the API's own path. `maxBody`: bytes. `once`: this process serves an assertion once. `clock`: Unix seconds.
 * `outcomesUrl`: where outcomes are reported, in the background; `middleware.outcomes.close()` sends the last ones.
 * Throws a TypeError for settings that cannot work.
 */
export function signetGuard(settings = {}) {
  const { assertionKeys = [], privateNetwork = false, basePath = "", maxBody = MAX_BODY, once = true } = settings;
  const clock = settings.clock ?? (() => Date.now() / 1000);
  if (Boolean(assertionKeys.length) === Boolean(privateNetwork))
    throw new TypeError("give the authorizer's assertionKeys, or privateNetwork: true; one of the two");
  if (assertionKeys.length && !settings.api) throw new TypeError('say which API this server answers for: api: "orders"');
  if (basePath && (!basePath.startsWith("/") || basePath.endsWith("/")))
    throw new TypeError('basePath begins with "/" and does not end with it');
  const keys = privateNetwork ? null : readKeys(assertionKeys);
  const outcomes = settings.outcomesUrl === undefined ? null : new OutcomeSender(settings.outcomesUrl);
  const served = new Set();
  const middleware = async (req, res, next) => {
    let facts = null;
    try {
      facts = keys ? admit(req, keys, settings.api, basePath, clock()) : plain(req);
      const body = await read(req, maxBody);
      checkBody(facts.content_digest, body);
      if (keys && once) use(served, facts.receipt_id);
      strip(req);
      req.signet = facts;
      req.body = body;
      req._body = true; // what body-parser heeds: the body was read
      follow(res, facts, watch(outcomes, facts.ticket));
    } catch (error) {
      if (!(error instanceof Refused)) return next(error);
      // The rest of a body that is not read must not pass for the next request.
      const fields = { "Content-Type": "application/json", "Cache-Control": "no-store", Connection: "close" };
      // Not where the request was served before: that answer told its caller.
      if (facts && error.code !== "not_authorized") Object.assign(fields, told(facts, Object.entries(fields)));
      res.writeHead(error.status, fields);
      res.end(JSON.stringify({ error: error.code, message: error.message }));
      return;
    }
    next();
  };
  return Object.assign(middleware, { outcomes });
}

// The outcome is known when the answer begins: how fast a caller reads the rest is no word about the backend.
function follow(res, facts, report) {
  const { writeHead } = res;
  res.writeHead = function (status, ...rest) {
    if (status < 200) return writeHead.call(this, status, ...rest);
    report(isFailure(status));
    const message = typeof rest[0] === "string" ? [rest[0]] : [];
    setAll(this, rest[message.length]);
    for (const [name, value] of Object.entries(told(facts, Object.entries(this.getHeaders()))))
      this.setHeader(name, value);
    return writeHead.call(this, status, ...message);
  };
}

// What is given to writeHead, an object or a list of names and values, takes the place of what was set before.
function setAll(res, given) {
  if (!Array.isArray(given)) {
    for (const [name, value] of Object.entries(given ?? {})) if (value !== undefined) res.setHeader(name, value);
    return;
  }
  const flat = given.flat();
  const names = flat.filter((_, at) => at % 2 === 0);
  for (const name of names) res.removeHeader(name);
  names.forEach((name, at) => res.appendHeader(name, flat[2 * at + 1]));
}

// Node joins or drops lines of one name in `headers`; `rawHeaders` has them all.
function lines(req, name) {
  const raw = req.rawHeaders;
  return raw.filter((_, at) => at % 2 && raw[at - 1].toLowerCase().replaceAll("_", "-") === name);
}

function admit(req, keys, api, basePath, now) {
  const values = lines(req, "signet-assertion");
  if (values.length !== 1) throw denied("this server answers only requests with one Signet-Assertion");
  const facts = verifyAssertion(values[0], keys, now);
  if (facts.api !== api) throw denied("the assertion is for another API");
  if (facts.method !== req.method) throw denied("the assertion is for another method");
  const [, raw, query = ""] = /^([^?]*)\??(.*)$/s.exec(req.originalUrl ?? req.url);
  if (/%(?:2f|5c|25|3b|3f|23)/i.test(raw)) throw denied("the path escapes a character that no signed path has");
  if (decoded(raw) !== basePath + facts.path)
    throw denied(
      "the assertion is for another path; if this server gets the API's paths with a stage or a mapping in front, set basePath to it",
    );
  if (!sameQuery(facts.query_sha256, query)) throw denied("the assertion is for another query");
  return facts;
}

function plain(req) {
  const facts = {};
  for (const [name, field] of Object.entries(PLAIN)) {
    const values = lines(req, field);
    if (values.length > 1) throw denied("a Signet- field is there twice");
    facts[name] = values[0] || null;
  }
  if (!facts.keyid || !facts.receipt_id) throw denied("this server answers only behind Signet's authorizer");
  return facts;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return null; // equals no path
  }
}

// As received, and spelled canonically (docs/protocol.md, "Target"): gateways spell a query anew.
function sameQuery(signed, raw) {
  if (signed === null) return raw === "";
  const hash = (text) => createHash("sha256").update(text).digest("hex");
  return signed === hash(`?${raw}`) || signed === hash(canonicalQuery(raw) ?? `?${raw}`);
}

function canonicalQuery(raw) {
  const grouped = new Map();
  let last = null;
  for (const field of raw ? raw.split("&") : []) {
    const [, name, value] = /^([^=]*)=?(.*)$/s.exec(field).map((part) => decoded(part.replaceAll("+", " ")));
    if (name === null || value === null || /[;\x00-\x1f\x7f\ufffd]/.test(name + value)) return null;
    if (grouped.has(name) && name !== last) return null;
    grouped.set(name, [...(grouped.get(name) ?? []), value]);
    last = name;
  }
  const spell = (text) =>
    encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  const named = [...grouped].map(([name, values]) => [spell(name), values.map(spell)]);
  named.sort(([one], [other]) => (one < other ? -1 : 1));
  return `?${named.flatMap(([name, values]) => values.map((value) => `${name}=${value}`)).join("&")}`;
}

async function read(req, maxBody) {
  const large = () => new Refused("body_too_large", `the body has more than ${maxBody} bytes`);
  if (req.readableEnded || req._body) throw new TypeError("signetGuard has to stand before what reads bodies");
  if (Number(req.headers["content-length"] ?? 0) > maxBody) throw large();
  const parts = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    req.on("data", (part) => {
      size += part.length;
      if (size > maxBody) {
        req.pause();
        req.removeAllListeners("data");
        reject(large());
      } else parts.push(part);
    });
    req.on("end", () => resolve(Buffer.concat(parts)));
    req.on("error", reject);
  });
}

function use(served, receipt) {
  if (served.has(receipt)) throw denied("this assertion was served before");
  served.add(receipt);
  if (served.size > REMEMBERED) served.delete(served.values().next().value);
}

function strip(req) {
  const own = (name) => /^signet[-_]/i.test(name);
  for (const name of Object.keys(req.headers)) if (own(name)) delete req.headers[name];
  for (let at = req.rawHeaders.length - 2; at >= 0; at -= 2)
    if (own(req.rawHeaders[at])) req.rawHeaders.splice(at, 2);
}

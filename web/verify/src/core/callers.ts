/**
 * Transcripts held to their receipts, and to the callers' keys: docs/formats.md, "What a transcript is held
 * to".
 */

import { Bad } from "./bad.ts";
import { type Bytes, bytesOf, decodeBase64, encodeBase64, equal, hex, textOf, utf8 } from "./bytes.ts";
import type { Day } from "./day.ts";
import { sha256 } from "./digest.ts";
import type { LaterDecision, Manifest } from "./formats.ts";
import { type Json, parseCanonical } from "./json.ts";
import { transcriptsIn, transcriptsName } from "./manifest.ts";
import type { Progress } from "./progress.ts";
import { bytes as base64Text, isObject } from "./shape.ts";
import { type CallerKey, isUsable, signedBy } from "./suites.ts";
import type { Zip } from "./zip.ts";

const NAME = "receipts.jsonl";
const LATE_MS = 15 * 60 * 1000;
/** How a line of an object begins, up to the transcript's first byte; the rest is any bytes. */
const LINE = /^\{"id":"([0-9a-f-]{36})","transcript":\{$/;
const LINE_START = 59;
const [NEWLINE, BRACE] = [0x0a, 0x7d];
const MOST_BYTES = 65_536;
/** How often an object is read: steps of a log may cut the receipts of one. */
const MOST_READS = 4;
const PARAMETER = /;(?:(created|expires)=([0-9]+)|(nonce|keyid|alg|tag)="([^"\\]*)")/y;
const KEYID = /^[A-Za-z0-9._:+/=@-]{1,128}$/;
const ALWAYS = ["@method", "@authority", "@path", "@query"] as const;

/** What an allowed request counts as. */
export const COUNTS = ["proven", "late", "unknown_key", "erased", "no_transcript", "no_commitment"] as const;
export type Counted = (typeof COUNTS)[number];
/** How many allowed requests are what. */
export type Signed = Record<Counted, number>;
/** By key id. */
export type Callers = ReadonlyMap<string, CallerKey>;

/** Return the keys in a file of callers' keys; null if it is none. */
export async function parseCallers(text: string): Promise<Callers | null> {
  const found = new Map<string, CallerKey>();
  try {
    const rows = JSON.parse(text) as unknown;
    if (!Array.isArray(rows)) return null;
    for (const row of rows as Record<string, unknown>[]) {
      const { keyid, alg, public_key: key } = row;
      const raw = typeof key === "string" ? decodeBase64(key) : null;
      if (typeof keyid !== "string" || !KEYID.test(keyid) || found.has(keyid)) return null;
      if (typeof alg !== "string" || raw === null || !(await isUsable({ alg, raw }))) return null;
      found.set(keyid, { alg, raw });
    }
  } catch {
    return null;
  }
  return found;
}

/**
 * Hold the transcripts in a pack to its receipts, and count what callers signed.
 *
 * @throws Bad `transcript_hash`, `transcript_malformed`, `transcript_differs`, `caller_signature`,
 *   `bad_transcripts`, `transcripts_apart`, `transcript_unnamed`
 */
export async function checkCallers(
  zip: Zip,
  manifest: Manifest,
  day: Day,
  callers: Callers,
  progress: Progress,
): Promise<Signed> {
  const names = manifest.v === 2 ? transcriptsIn(manifest.files.map((file) => file.name)) : new Set<string>();
  const counts: Signed = {
    proven: 0,
    late: 0,
    unknown_key: 0,
    erased: 0,
    no_transcript: names.size === 0 && !day.erased ? day.allowed[1] : 0,
    no_commitment: day.allowed[0],
  };
  if (names.size === 0 && !day.erased) return counts;
  const objects = new Transcripts(zip, names);
  const [without, erased] = [new Set<string>(), new Set<string>()];
  let done = 0;
  for await (const lines of zip.lines(NAME)) {
    for (const { data, number } of lines) {
      const receipt = JSON.parse(textOf(data)) as LaterDecision & { receipts?: string[] };
      if ((receipt.type as string) === "transcript.erased") receipt.receipts?.forEach((id) => erased.add(id));
      if (receipt.type !== "pch.decision" || receipt.v !== 2 || receipt.transcript_sha256 === null) continue;
      const transcript = await objects.take(receipt.chain.transcripts, receipt.id);
      const found = transcript === null ? "no_transcript" : await judge(number, transcript, receipt, callers);
      if (receipt.decision !== "allow") continue;
      counts[found] += 1;
      if (transcript === null) without.add(receipt.id);
    }
    done += lines.length;
    progress(done, day.count);
  }
  objects.finish();
  counts.erased = [...without].filter((id) => erased.has(id)).length;
  counts.no_transcript -= counts.erased;
  return counts;
}

/** The objects of transcripts in a pack; receipts of one object follow each other, with few exceptions. */
class Transcripts {
  private name = "";
  private held = new Map<string, Bytes>();
  private readonly left = new Map<string, number>();
  private readonly reads = new Map<string, number>();

  constructor(
    private readonly zip: Zip,
    private readonly names: ReadonlySet<string>,
  ) {}

  async take(name: string | null, id: string): Promise<Bytes | null> {
    if (name === null || !this.names.has(name) || this.left.get(name) === 0) return null;
    if (name !== this.name) {
      this.held = await this.load(name);
      this.name = name;
      if (!this.left.has(name)) this.left.set(name, this.held.size);
    }
    const found = this.held.get(id);
    if (found === undefined) return null;
    this.held.delete(id);
    this.left.set(name, (this.left.get(name) ?? 0) - 1);
    return found;
  }

  finish(): void {
    for (const name of this.names) {
      if (this.left.get(name) !== 0) {
        const reason = "holds transcripts of receipts that do not name it";
        throw new Bad("transcript_unnamed", transcriptsName(name), reason);
      }
    }
  }

  private async load(name: string): Promise<Map<string, Bytes>> {
    const file = transcriptsName(name);
    const refuse = (reason: string): Bad => new Bad("bad_transcripts", file, reason);
    const reads = (this.reads.get(name) ?? 0) + 1;
    this.reads.set(name, reads);
    if (reads > MOST_READS) {
      throw new Bad("transcripts_apart", file, "is named by receipts that lie too far apart");
    }
    const found = new Map<string, Bytes>();
    const data = await this.zip.read(file);
    if (data.at(-1) !== NEWLINE) throw refuse("does not end with a newline");
    let last = "";
    for (let start = 0, end = 0; start < data.length; start = end + 1) {
      end = data.indexOf(NEWLINE, start);
      const line = data.subarray(start, end);
      const [, id] = LINE.exec(String.fromCharCode(...line.subarray(0, LINE_START))) ?? [];
      const ends = line.length >= LINE_START + 2 && line.at(-2) === BRACE && line.at(-1) === BRACE;
      if (id === undefined || !ends) throw refuse("has a line that is no transcript");
      if (line.length - LINE_START > MOST_BYTES)
        throw refuse(`has a transcript of more than ${MOST_BYTES} bytes`);
      if (id <= last) throw refuse("has its lines out of order");
      found.set(id, line.slice(LINE_START - 1, -1));
      last = id;
    }
    return found;
  }
}

/** Hold one transcript to its receipt; return what it counts as. */
async function judge(
  line: number,
  transcript: Bytes,
  receipt: LaterDecision,
  callers: Callers,
): Promise<Counted> {
  const refuse = (code: string, reason: string): Bad => new Bad(code, NAME, reason, line);
  const differs = (what: string): Bad =>
    refuse("transcript_differs", `its transcript says something else than the receipt: ${what}`);
  if (hex(sha256(transcript)) !== receipt.transcript_sha256) {
    throw refuse("transcript_hash", "its transcript has not the SHA-256 that it names");
  }
  const { covered, proof, request } = receipt;
  if (covered === null) return "no_transcript"; // a refusal that could not say what it refused
  const value = parseCanonical(NAME, transcript, line, "transcript_malformed");
  const { base, signature, salt, input } = formed(value) ?? {};
  if (base === undefined || signature === undefined || salt === undefined) {
    throw refuse("transcript_malformed", "its transcript has not the form of one");
  }
  const lines = base.split("\n");
  const last = lines.pop() ?? "";
  const signed = new Map<string, string>();
  for (const [index, name] of covered.entries()) {
    const text = lines[index];
    if (text?.startsWith(`${name}: `)) signed.set(name.slice(1, -1), text.slice(name.length + 2));
  }
  const whole = signed.size === covered.length && lines.length === covered.length;
  if (!whole || !ALWAYS.every((name) => signed.has(name))) throw differs("covered");
  const parameters = parametersOf(last, covered);
  if (parameters === null) throw differs("parameters");
  const sequence = (item: string): Bytes => {
    const raw = decodeBase64(item.slice(1, -1));
    if (raw === null || item !== `:${encodeBase64(raw)}:`) throw differs("a field that was signed");
    return raw;
  };
  const nonce = utf8(parameters.get("nonce") ?? "");
  const field = signed.get("pch-channel-binding");
  const cut = field?.indexOf("=") ?? -1;
  const bound = field === undefined ? null : hex(sha256(sequence(cut < 0 ? "" : field.slice(cut + 1))));
  const evidence = signed.get("pch-evidence");
  const named = signed.get("pch-evidence-digest");
  const evidenceDigest =
    named !== undefined
      ? hex(sequence(named.replace(/^sha-256=/, "")))
      : evidence !== undefined
        ? hex(sha256(sequence(evidence)))
        : null;
  const saltBytes = bytesOf(salt);
  const pairs: [string, unknown, unknown][] = [
    ["request.method", signed.get("@method"), request.method],
    ["request.authority", signed.get("@authority"), request.authority],
    ["request.path", signed.get("@path"), request.path],
    [
      "salt",
      equal(sha256(new Uint8Array([...utf8("signet-query-salt-v2\n"), ...nonce])).slice(0, 16), saltBytes),
      true,
    ],
    [
      "request.query_sha256",
      hex(sha256(new Uint8Array([...saltBytes, ...utf8(signed.get("@query") ?? "")]))),
      request.query_sha256,
    ],
    ["request.content_digest", signed.get("content-digest") ?? null, request.content_digest],
    [
      "proof.binding",
      field === undefined ? "none" : field.slice(0, cut < 0 ? undefined : cut),
      proof.binding.type,
    ],
    ["proof.binding", bound, proof.binding.value_sha256],
    ["proof.evidence_sha256", evidenceDigest, proof.evidence_sha256],
    ["proof.keyid", parameters.get("keyid"), proof.keyid],
    ["proof.alg", parameters.get("alg"), proof.alg],
    ["proof.created", parameters.get("created"), String(proof.created)],
    ["proof.expires", parameters.get("expires"), String(proof.expires)],
    ["proof.nonce_sha256", hex(sha256(nonce)), proof.nonce_sha256],
    ["tag", parameters.get("tag"), "pch-lite"],
    ...asked(input ?? null, receipt),
  ];
  for (const [what, said, recorded] of pairs) if (said !== recorded) throw differs(what);
  const key = callers.get(proof.keyid ?? "");
  if (key === undefined) return "unknown_key";
  const classical = receipt.reason === "ok_classical_fallback";
  if (key.alg !== proof.alg || !(await signedBy(key, utf8(base), bytesOf(signature), classical))) {
    throw refuse("caller_signature", "was not signed by the caller that it names");
  }
  const delay = Date.parse(receipt.chain.recorded_at) - Date.parse(receipt.decided_at);
  return delay > LATE_MS ? "late" : "proven";
}

interface Transcript {
  readonly base: string;
  readonly signature: string;
  readonly salt: string;
  readonly input: Json;
}

function formed(value: Json): Transcript | null {
  if (!isObject(value) || Object.keys(value).sort().join() !== "base,input,salt,signature") return null;
  const { base, signature, salt, input } = value;
  const ascii = typeof base === "string" && /^[\x00-\x7f]*$/.test(base);
  if (!ascii || !base64Text(signature as Json) || !base64Text(salt as Json)) return null;
  return { base, signature: signature as string, salt: salt as string, input: input as Json };
}

/** Return the parameters of a signature, six, each once; null if the line holds anything else. */
function parametersOf(line: string, covered: readonly string[]): Map<string, string> | null {
  const start = `"@signature-params": (${covered.join(" ")})`;
  if (!line.startsWith(start)) return null;
  const found = new Map<string, string>();
  PARAMETER.lastIndex = start.length;
  let at = start.length;
  for (let match = PARAMETER.exec(line); match !== null; match = PARAMETER.exec(line)) {
    const name = (match[1] ?? match[3]) as string;
    if (found.has(name)) return null;
    found.set(name, (match[2] ?? match[4]) as string);
    at = PARAMETER.lastIndex;
  }
  return at === line.length && found.size === 6 ? found : null;
}

/** Return what the policy's input and the receipt both say. */
function asked(input: Json, receipt: LaterDecision): [string, unknown, unknown][] {
  const { proof, request } = receipt;
  const told = (...place: string[]): Json => {
    let value: Json = input;
    for (const name of place) value = isObject(value) ? (value[name] ?? null) : null;
    return value;
  };
  const [path, parameters] = [told("path"), told("path_parameters")];
  const [method, resource] = cut(receipt.route ?? "", " ");
  const ends = typeof path === "string" && withoutSlash(request.path ?? "").endsWith(withoutSlash(path));
  const filling = typeof path === "string" ? fillingOf(resource, path) : null;
  const unix = told("time", "unix");
  const decided = Math.floor(Date.parse(receipt.decided_at) / 1000);
  return [
    ["input.api", told("api"), receipt.api.name],
    ["input.route", told("route"), receipt.route],
    ["input.method", told("method"), request.method],
    ["input.principal.keyid", told("principal", "keyid"), proof.keyid],
    ["input.algorithm", told("algorithm"), proof.alg],
    ["input.binding.type", told("binding", "type"), proof.binding.type],
    ["input.header_bytes", told("header_bytes"), proof.header_bytes],
    ["input.evidence.sha256", told("evidence", "sha256"), proof.evidence_sha256],
    ["input.time.unix", unix === null ? decided : unix, decided],
    ["input.path", ends, true],
    ["route", method, request.method],
    ["input.path_parameters", filling !== null && sameMembers(parameters, filling), true],
  ];
}

function withoutSlash(path: string): string {
  return path.endsWith("/") ? path.slice(0, -1) : path;
}

/** Return what stands before the first `mark`, and what after it. */
function cut(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + mark.length)];
}

/** Return the parameters that make a path of a declared resource; null if none do. */
function fillingOf(resource: string, path: string): Map<string, string> | null {
  const found = new Map<string, string>();
  if (resource === "$default") return found;
  const names = resource.split("/");
  let values = path.split("/");
  if (resource.endsWith("+}") && values.length > names.length) {
    values = [...values.slice(0, names.length - 1), values.slice(names.length - 1).join("/")];
  }
  if (values.length !== names.length) return null;
  for (const [index, name] of names.entries()) {
    const value = values[index] as string;
    if (name.startsWith("{")) found.set(name.slice(1, -1).replace(/\+$/, ""), value);
    else if (name !== value && !value.includes("%")) return null;
  }
  return found;
}

function sameMembers(value: Json, members: ReadonlyMap<string, string>): boolean {
  if (!isObject(value)) return false;
  const names = Object.keys(value);
  return names.length === members.size && names.every((name) => members.get(name) === value[name]);
}

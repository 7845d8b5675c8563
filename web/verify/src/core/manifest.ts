/** manifest.json: which members a pack has, in which order, and their hashes. */

import { Bad } from "./bad.ts";
import { type Bytes, hex } from "./bytes.ts";
import { digest, digestOfChunks } from "./digest.ts";
import { LATER_MANIFEST, MANIFEST, type Manifest } from "./formats.ts";
import { parseCanonical } from "./json.ts";
import type { Progress } from "./progress.ts";
import { held, isObject } from "./shape.ts";
import { isStreamed, MAX_MEMBER_BYTES, type Zip } from "./zip.ts";

const NAME = "manifest.json";
const INCLUSION = "proofs/inclusion.jsonl";
const HEAD_NAME = /^sth\/\d{4}-\d\d-\d\d\.json$/;
const POLICY_NAME = /^policy\/[0-9a-f]{64}\/./;
const TRANSCRIPTS_NAME = /^transcripts\/([0-9a-f]{32})$/;
/** Newest version of a pack that is known here. */
const NEWEST = 2;
const EVIDENCE_NAME = /^evidence\/([0-9a-f]{64})$/;

/**
 * Return the manifest; it and the zip have the members of a pack, in order, of the same sizes.
 *
 * @throws Bad `member_missing`, `manifest_malformed`, `manifest_members`, `size_mismatch`,
 *   `member_too_large`, `not_canonical`, `wrong_day`
 */
export async function readManifest(zip: Zip): Promise<Manifest> {
  const value = parseCanonical(NAME, await zip.read(NAME));
  const refuse = (wrong: string): Bad => new Bad("manifest_malformed", NAME, wrong);
  const needs = isObject(value) ? value["needs"] : undefined;
  if (typeof needs === "number" && needs > NEWEST) {
    throw refuse(`needs a checker of version ${needs}, which is newer than this page`);
  }
  const later = isObject(value) && value["v"] === NEWEST;
  const manifest = later ? held(value, LATER_MANIFEST, refuse) : held(value, MANIFEST, refuse);
  for (const { name, size } of manifest.files) {
    const member = zip.members.get(name);
    if (member === undefined) throw new Bad("member_missing", name, "is in the manifest, but not in the zip");
    if (member.size !== size) throw new Bad("size_mismatch", name, "has not the size in the manifest");
    if (size > MAX_MEMBER_BYTES && !isStreamed(name)) {
      throw new Bad("member_too_large", name, `is larger than ${MAX_MEMBER_BYTES} bytes`);
    }
  }
  checkNames(manifest, [...zip.members.keys()]);
  return manifest;
}

function checkNames(manifest: Manifest, zipped: readonly string[]): void {
  const listed = manifest.files.map((file) => file.name);
  const known = new Set(listed);
  if (known.size !== listed.length) throw new Bad("manifest_malformed", NAME, "lists a member twice");
  const [unlisted] = zipped.filter((name) => name !== NAME && !known.has(name)).sort();
  if (unlisted !== undefined) {
    throw new Bad("manifest_members", unlisted, "is in the zip, but not in the manifest");
  }
  if ([NAME, ...listed].some((name, index) => name !== zipped[index])) {
    throw new Bad("manifest_members", NAME, "lists the members in another order than the zip");
  }
  const newest = listed.filter((name) => HEAD_NAME.test(name)).reduce((a, b) => (a > b ? a : b), "");
  if (newest > headName(manifest.date)) {
    throw new Bad("wrong_day", NAME, `is of ${manifest.date}, but the pack has ${newest}`);
  }
  const expected = expectedNames(manifest.date, listed, manifest.v === NEWEST);
  const absent = expected.find((name) => !known.has(name));
  if (absent !== undefined) throw new Bad("member_missing", absent, "is missing");
  const odd = listed.find((name, index) => name !== expected[index]);
  if (odd !== undefined) {
    throw new Bad("manifest_members", odd, "is a member that no pack has in this place");
  }
}

function headName(date: string): string {
  return `sth/${date}.json`;
}

/** Return the members after the manifest, given the optional ones among `names`. */
function expectedNames(date: string, names: readonly string[], transcripts: boolean): string[] {
  const heads = new Set([...names.filter((name) => HEAD_NAME.test(name)), headName(date)]);
  return [
    "receipts.jsonl",
    "sth.json",
    ...[...heads].sort(),
    "proofs/range.json",
    "proofs/consistency.json",
    ...(names.includes(INCLUSION) ? [INCLUSION] : []),
    "keys.json",
    "checkpoint",
    ...names.filter((name) => POLICY_NAME.test(name)).sort(),
    ...names.filter((name) => EVIDENCE_NAME.test(name)).sort(),
    ...names.filter((name) => transcripts && TRANSCRIPTS_NAME.test(name)).sort(),
    "VERIFY.md",
    "verify.py",
  ];
}

export function transcriptsName(name: string): string {
  return `transcripts/${name}`;
}

/** Return the names of the objects of transcripts, as receipts have them. */
export function transcriptsIn(names: Iterable<string>): Set<string> {
  const found = [...names].map((name) => TRANSCRIPTS_NAME.exec(name)?.[1]);
  return new Set(found.filter((name) => name !== undefined));
}

export function evidenceName(digest: string): string {
  return `evidence/${digest}`;
}

/** Return the digests, in hex, by which the pack's evidence is named. */
export function evidenceIn(names: Iterable<string>): Set<string> {
  const digests = [...names].map((name) => EVIDENCE_NAME.exec(name)?.[1]);
  return new Set(digests.filter((digest) => digest !== undefined));
}

/**
 * Return a small member whole, held to its hash in the manifest.
 *
 * @throws Bad `hash_mismatch`, `zip_damaged`
 */
export async function readHeld(zip: Zip, manifest: Manifest, name: string): Promise<Bytes> {
  const data = await zip.read(name);
  const file = manifest.files.find((listed) => listed.name === name);
  if (hex(await digest(data)) !== file?.sha256) throw mismatch(name);
  return data;
}

function mismatch(name: string): Bad {
  return new Bad("hash_mismatch", name, "has not the hash in the manifest");
}

/**
 * Hold every member to its hash.
 *
 * @throws Bad `hash_mismatch`, `zip_damaged`
 */
export async function checkHashes(zip: Zip, manifest: Manifest, progress: Progress): Promise<void> {
  const total = manifest.files.reduce((sum, file) => sum + file.size, 0);
  let done = 0;
  async function* counted(name: string): ReturnType<Zip["chunks"]> {
    for await (const chunk of zip.chunks(name)) {
      done += chunk.length;
      progress(done, total);
      yield chunk;
    }
  }
  for (const { name, sha256, size } of manifest.files) {
    if (hex(await digestOfChunks(counted(name), size)) !== sha256) {
      throw mismatch(name);
    }
  }
}

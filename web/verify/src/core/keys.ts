/** keys.json: the log's key sets, their endorsements, and the log_id that pins the first. */

import { Bad } from "./bad.ts";
import { decodeBase64, hex, utf8, type Bytes, concat } from "./bytes.ts";
import { digest } from "./digest.ts";
import {
  type Algorithm,
  ALGORITHMS,
  type Endorsement,
  ENDORSEMENT,
  KEYS,
  type KeySetObject,
  PUBLIC_KEY_BYTES,
  type Signature,
} from "./formats.ts";
import { canonical, parseCanonical } from "./json.ts";
import { faultOfPoint } from "./point.ts";
import { held } from "./shape.ts";
import { verifies } from "./signatures.ts";

const NAME = "keys.json";
/** Algorithms of the signatures of an endorsement, in their order. */
const ENDORSING: readonly Algorithm[] = ["ed25519", "ml-dsa-65"];
const ENDORSEMENT_CODES = {
  missing: "endorsement_missing",
  misplaced: "endorsement_misplaced",
  wrong: "bad_endorsement",
} as const;

export interface Key {
  readonly alg: Algorithm;
  readonly keyid: string;
  readonly raw: Bytes;
}

export interface KeySet {
  readonly n: number;
  /** Tree size from which on the set signs. */
  readonly from: number;
  readonly keys: Readonly<Record<Algorithm, Key>>;
  /** The set as it stands in keys.json. */
  readonly object: KeySetObject;
}

export interface LogKeys {
  readonly origin: string;
  readonly logId: string;
  readonly sets: readonly KeySet[];
}

/** Return the set that signs a head of this size. */
export function setFor(keys: LogKeys, treeSize: number): KeySet {
  return keys.sets.findLast((set) => set.from <= treeSize) as KeySet;
}

/**
 * Read keys.json: sets in order, key ids and log_id that follow, all four signatures of each endorsement.
 *
 * @param claimed the log id in the manifest
 * @param expected the log id as known from elsewhere; null takes any
 * @throws Bad `bad_key_file`, `key_set_order`, `key_interval`, `key_reused`, `wrong_log`,
 *   `endorsement_missing`, `endorsement_misplaced`, `bad_endorsement`
 */
export async function parseKeys(data: Bytes, claimed: string, expected: string | null): Promise<LogKeys> {
  const value = parseCanonical(NAME, data, null, "bad_key_file");
  const file = held(value, KEYS, (wrong) => refused(wrong));
  const sets: KeySet[] = [];
  for (const object of file.sets) {
    const set = await parseSet(object);
    checkPlaces(set, sets.at(-1));
    sets.push(set);
  }
  checkOrder(sets);
  const named = canonical({ origin: file.origin, keys: file.sets[0]?.keys ?? null });
  if (hex(await digest(utf8(`signet-log-v1\n${named}`))) !== file.log_id) {
    throw refused("log_id is not the hash of the origin and the first key set");
  }
  // Before the endorsements: of another log their signatures are not worth the time.
  checkIdentity(file.log_id, claimed, expected);
  for (const [index, set] of sets.slice(1).entries()) {
    await checkEndorsement(file.log_id, set, sets[index] as KeySet);
  }
  return { origin: file.origin, logId: file.log_id, sets };
}

function checkIdentity(logId: string, claimed: string, expected: string | null): void {
  if (claimed !== logId) throw new Bad("wrong_log", "manifest.json", "log_id is not that of keys.json");
  if (expected !== null && expected !== logId) {
    throw refused(`is of another log, ${logId}: nothing else was checked`, "wrong_log");
  }
}

async function parseSet(object: KeySetObject): Promise<KeySet> {
  const { n } = object;
  if (object.keys.map((key) => key.alg).join() !== ALGORITHMS.join()) {
    throw refused(`set ${n} must hold keys for ${ALGORITHMS.join(", ")}, in this order`);
  }
  const keys: Partial<Record<Algorithm, Key>> = {};
  for (const { alg, keyid, public_key: spelled } of object.keys) {
    const raw = decodeBase64(spelled);
    if (raw?.length !== PUBLIC_KEY_BYTES[alg]) {
      throw refused(`the ${alg} key of set ${n} is not base64 of ${PUBLIC_KEY_BYTES[alg]} bytes`);
    }
    if (hex(await digest(concat(utf8(`${alg}\n`), raw))).slice(0, 32) !== keyid) {
      throw refused(`the keyid of the ${alg} key of set ${n} does not follow from the key`);
    }
    const fault = alg === "ed25519" ? faultOfPoint(raw) : null;
    if (fault !== null) throw refused(`the ${alg} key of set ${n} ${fault}`);
    keys[alg] = { alg, keyid, raw };
  }
  return { n, from: object.from_tree_size, keys: keys as Record<Algorithm, Key>, object };
}

/** Hold the sets to their numbers, their intervals, and to keys of their own. */
function checkOrder(sets: readonly KeySet[]): void {
  if (sets.length === 0 || sets.some((set, place) => set.n !== place)) {
    throw refused("must number its sets 0, 1, 2 … without gaps", "key_set_order");
  }
  const seen = new Set<string>();
  let before = -1;
  for (const set of sets) {
    if (set.n === 0 ? set.from !== 0 : set.from <= before) {
      throw refused(`set ${set.n} cannot begin at tree size ${set.from}`, "key_interval");
    }
    before = set.from;
    for (const key of Object.values(set.keys)) {
      if (seen.has(key.keyid)) {
        throw refused(`the ${key.alg} key of set ${set.n} stands in an earlier set`, "key_reused");
      }
      seen.add(key.keyid);
    }
  }
}

/** Check that an endorsement has its four signatures in their places; whether they verify is another question. */
function checkPlaces(set: KeySet, previous: KeySet | undefined): void {
  const { endorsement, n } = set.object;
  if (previous === undefined) {
    if (endorsement !== null)
      throw refused("endorses the first set, which nothing precedes", "key_set_order");
    return;
  }
  const members = Object.keys(endorsement ?? {});
  const absent = ["previous", "next"].find((side) => !members.includes(side));
  if (absent !== undefined) {
    throw refused(
      `the endorsement of set ${n} has no signatures of its ${absent} keys`,
      "endorsement_missing",
    );
  }
  held(endorsement, ENDORSEMENT, (wrong) => refused(wrong), `the endorsement of set ${n}`);
  for (const [signatures, signer] of endorsers(set, previous)) {
    refuseEndorsement(set, misplaced(signatures, signer, ENDORSING));
  }
}

async function checkEndorsement(logId: string, set: KeySet, previous: KeySet): Promise<void> {
  const step = {
    log_id: logId,
    from_tree_size: set.from,
    previous: await named(previous),
    next: await named(set),
  };
  const message = utf8(`signet-key-endorsement-v1\n${canonical(step)}`);
  for (const [signatures, signer] of endorsers(set, previous)) {
    refuseEndorsement(set, await faultIn(signatures, signer, ENDORSING, message));
  }
}

/** Return how an endorsement names a set: its number, and the hash of its keys as they stand in keys.json. */
async function named({ n, object }: KeySet): Promise<{ n: number; keys_sha256: string }> {
  const listed = utf8(canonical(object.keys));
  return { n, keys_sha256: hex(await digest(listed)) };
}

/** Return the two pairs of signatures of an endorsement, each with the set that made it. */
function endorsers(set: KeySet, previous: KeySet): [readonly Signature[], KeySet][] {
  const signed = set.object.endorsement as Endorsement;
  return [
    [signed.previous, previous],
    [signed.next, set],
  ];
}

function refuseEndorsement(set: KeySet, fault: Fault | null): void {
  if (fault !== null)
    throw refused(`the endorsement of set ${set.n} ${fault.reason}`, ENDORSEMENT_CODES[fault.kind]);
}

/** What is wrong with signatures: there are too few, they are others, or they do not verify. */
export interface Fault {
  readonly kind: "missing" | "misplaced" | "wrong";
  /** To be read after the name of what is signed. */
  readonly reason: string;
}

/** Return null if there is one signature of a set's keys for each of the algorithms, in this order. */
function misplaced(
  signatures: readonly Signature[],
  set: KeySet,
  algorithms: readonly Algorithm[],
): Fault | null {
  if (signatures.length < algorithms.length) {
    return { kind: "missing", reason: `lacks one of the signatures: ${algorithms.join(" and ")}` };
  }
  const inPlace = signatures.every(({ alg, keyid }, index) => {
    const expected = algorithms[index];
    return expected !== undefined && alg === expected && keyid === set.keys[expected].keyid;
  });
  if (inPlace) return null;
  return {
    kind: "misplaced",
    reason: `must be signed by the ${algorithms.join(" and ")} keys of set ${set.n}`,
  };
}

/** Return null if the signatures are in their places and verify. */
export async function faultIn(
  signatures: readonly Signature[],
  set: KeySet,
  algorithms: readonly Algorithm[],
  message: Bytes,
): Promise<Fault | null> {
  const fault = misplaced(signatures, set, algorithms);
  if (fault !== null) return fault;
  for (const [index, alg] of algorithms.entries()) {
    const signature = decodeBase64((signatures[index] as Signature).sig);
    if (signature === null || !(await verifies(alg, set.keys[alg].raw, signature, message))) {
      return { kind: "wrong", reason: `has an ${alg} signature that does not verify` };
    }
  }
  return null;
}

function refused(reason: string, code = "bad_key_file"): Bad {
  return new Bad(code, NAME, reason);
}

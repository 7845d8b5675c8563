/** keys.json: the log's key sets, their endorsements, and the log_id that pins the first. */

import { Bad } from "./bad.ts";
import { bytesOf, decodeBase64, hex, utf8, type Bytes, concat } from "./bytes.ts";
import { digest } from "./digest.ts";
import {
  type Algorithm,
  ALGORITHMS,
  ENDORSEMENT,
  KEYS,
  type KeysObject,
  type KeySetObject,
  PUBLIC_KEY_BYTES,
  type Signature,
} from "./formats.ts";
import { canonical, type Json, parseCanonical } from "./json.ts";
import { misfit } from "./shape.ts";
import { verifies } from "./signatures.ts";

const NAME = "keys.json";
const ENDORSING = ["ed25519", "ml-dsa-65"] as const;

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
 * @throws Bad `not_canonical`, `bad_key_file`, `bad_signature`
 */
export async function parseKeys(data: Bytes): Promise<LogKeys> {
  const value = parseCanonical(NAME, data);
  const wrong = misfit(value, KEYS);
  if (wrong !== null) throw refused(wrong);
  const file = value as unknown as KeysObject;
  const [genesis] = file.sets;
  if (genesis === undefined) throw refused("holds no key set");
  const named = canonical({ origin: file.origin, keys: genesis.keys as unknown as Json });
  if (hex(await digest(utf8(`signet-log-v1\n${named}`))) !== file.log_id) {
    throw refused("log_id is not the hash of the origin and the first key set");
  }
  const sets: KeySet[] = [];
  const seen = new Set<string>();
  for (const [n, object] of file.sets.entries()) {
    const set = await parseSet(n, object);
    checkOrder(set, sets.at(-1), seen);
    await checkEndorsement(file.log_id, set, sets.at(-1));
    sets.push(set);
  }
  return { origin: file.origin, logId: file.log_id, sets };
}

async function parseSet(n: number, object: KeySetObject): Promise<KeySet> {
  if (object.n !== n)
    throw refused(`the sets must be numbered 0, 1, 2 …, but ${object.n} stands in place ${n}`);
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
    keys[alg] = { alg, keyid, raw };
  }
  return { n, from: object.from_tree_size, keys: keys as Record<Algorithm, Key>, object };
}

function checkOrder(set: KeySet, previous: KeySet | undefined, seen: Set<string>): void {
  if (previous === undefined ? set.from !== 0 : set.from <= previous.from) {
    throw refused(`set ${set.n} cannot begin at tree size ${set.from}`);
  }
  for (const key of Object.values(set.keys)) {
    if (seen.has(key.keyid)) throw refused(`the ${key.alg} key of set ${set.n} stands in an earlier set`);
    seen.add(key.keyid);
  }
}

async function checkEndorsement(logId: string, set: KeySet, previous: KeySet | undefined): Promise<void> {
  const { endorsement, keys, n, from_tree_size: from } = set.object;
  if (previous === undefined) {
    if (endorsement !== null)
      throw refused("the first set is endorsed by nobody: its endorsement must be null");
    return;
  }
  const wrong = misfit(endorsement as unknown as Json, ENDORSEMENT, `the endorsement of set ${n}`);
  if (wrong !== null || endorsement === null) throw refused(wrong ?? `set ${n} has no endorsement`);
  const body = { log_id: logId, n, from_tree_size: from, keys, previous: previous.object.keys };
  const message = utf8(`signet-keys-v1\n${canonical(body as unknown as Json)}`);
  await checkBoth(
    endorsement.previous,
    previous,
    ENDORSING,
    message,
    NAME,
    `the endorsement of set ${n} by the set before`,
  );
  await checkBoth(endorsement.next, set, ENDORSING, message, NAME, `the endorsement of set ${n} by itself`);
}

/**
 * Check that the signatures are those of a set's keys for the algorithms, in this order.
 *
 * @throws Bad `bad_signature`
 */
export async function checkBoth(
  signatures: readonly Signature[],
  set: KeySet,
  algorithms: readonly Algorithm[],
  message: Bytes,
  file: string,
  what: string,
): Promise<void> {
  if (signatures.map((signature) => signature.alg).join() !== algorithms.join()) {
    throw new Bad(
      "bad_signature",
      file,
      `${what} must carry signatures of ${algorithms.join(" and ")}, in this order`,
    );
  }
  for (const [index, alg] of algorithms.entries()) {
    const { keyid, sig } = signatures[index] as Signature;
    const key = set.keys[alg];
    if (keyid !== key.keyid) {
      throw new Bad("bad_signature", file, `${what} names another ${alg} key than that of set ${set.n}`);
    }
    if (decodeBase64(sig) === null || !(await verifies(alg, key.raw, bytesOf(sig), message))) {
      throw new Bad("bad_signature", file, `the ${alg} signature of ${what} does not verify`);
    }
  }
}

function refused(reason: string): Bad {
  return new Bad("bad_key_file", NAME, reason);
}

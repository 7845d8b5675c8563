/** The checkpoint: a C2SP signed note of the head's tree, with the log's two signatures. */

import { Bad } from "./bad.ts";
import { type Bytes, concat, decodeBase64, equal, textOf, uint64, utf8, bytesOf } from "./bytes.ts";
import { digest } from "./digest.ts";
import { type Head, SIGNATURE_BYTES } from "./formats.ts";
import { type Key, type LogKeys, setFor } from "./keys.ts";
import { verifies } from "./signatures.ts";
import type { Zip } from "./zip.ts";

const NAME = "checkpoint";
const TYPE_ED25519 = 0x01;
const TYPE_ML_DSA_44 = 0x06;
const KEY_ID_BYTES = 4;
const TIME_BYTES = 8;
const ED25519_LINE = 5;
const ML_DSA_LINE = 6;

/**
 * Check the checkpoint (c2sp.org/signed-note, tlog-checkpoint, tlog-cosignature).
 *
 * @throws Bad `bad_note`, `wrong_root`, `bad_signature`
 */
export async function checkCheckpoint(zip: Zip, head: Head, keys: LogKeys): Promise<void> {
  const lines = linesOf(await zip.read(NAME));
  const [origin, size, root, blank, ed25519, mlDsa, end] = lines;
  if (lines.length !== 7 || origin !== keys.origin || blank !== "" || end !== "") {
    throw refused("is not a checkpoint of this log with two signatures");
  }
  if (size !== String(head.tree_size) || root !== head.root_hash) {
    throw new Bad("wrong_root", NAME, "is not of the tree of sth.json");
  }
  const set = setFor(keys, head.tree_size);
  const text = utf8(`${origin}\n${size}\n${root}\n`);
  const ed25519Key = set.keys.ed25519;
  const signature = await signatureIn(
    ed25519 as string,
    ED25519_LINE,
    keys.origin,
    TYPE_ED25519,
    ed25519Key,
    0,
  );
  await check(ed25519Key, signature, text, ED25519_LINE);
  const mlDsaKey = set.keys["ml-dsa-44"];
  const blob = await signatureIn(
    mlDsa as string,
    ML_DSA_LINE,
    keys.origin,
    TYPE_ML_DSA_44,
    mlDsaKey,
    TIME_BYTES,
  );
  const time = blob.subarray(0, TIME_BYTES);
  if ((time[0] as number) > 0x7f)
    throw new Bad("bad_signature", NAME, "names a time that is out of range", ML_DSA_LINE);
  await check(mlDsaKey, blob.subarray(TIME_BYTES), cosigned(keys.origin, time, head), ML_DSA_LINE);
}

function linesOf(data: Bytes): string[] {
  try {
    return textOf(data).split("\n");
  } catch {
    throw refused("is not UTF-8");
  }
}

/** Return what the cosignature signs: the subtree [0, tree_size) at a time. */
function cosigned(origin: string, time: Bytes, head: Head): Bytes {
  const name = utf8(origin);
  const named = concat(Uint8Array.of(name.length), name);
  const range = concat(uint64(0), uint64(head.tree_size));
  return concat(utf8("subtree/v1\n\0"), named, time, named, range, bytesOf(head.root_hash));
}

/** Return what follows the key id on a signature line. */
async function signatureIn(
  line: string,
  number: number,
  origin: string,
  type: number,
  key: Key,
  extra: number,
): Promise<Bytes> {
  const prefix = `\u2014 ${origin} `;
  const blob = line.startsWith(prefix) ? decodeBase64(line.slice(prefix.length)) : null;
  if (blob?.length !== KEY_ID_BYTES + extra + SIGNATURE_BYTES[key.alg]) {
    throw refused(`is not an ${key.alg} signature line of this log`, number);
  }
  const id = await digest(concat(utf8(`${origin}\n`), Uint8Array.of(type), key.raw));
  if (!equal(blob.subarray(0, KEY_ID_BYTES), id.subarray(0, KEY_ID_BYTES))) {
    throw refused(`names another key than the log's ${key.alg} key`, number);
  }
  return blob.subarray(KEY_ID_BYTES);
}

async function check(key: Key, signature: Bytes, message: Bytes, line: number): Promise<void> {
  if (!(await verifies(key.alg, key.raw, signature, message))) {
    throw new Bad("bad_signature", NAME, `the ${key.alg} signature does not verify`, line);
  }
}

function refused(reason: string, line: number | null = null): Bad {
  return new Bad("bad_note", NAME, reason, line);
}

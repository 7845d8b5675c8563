/** The checkpoint: a C2SP signed note of the head's tree, with the log's two signatures. */

import { Bad } from "./bad.ts";
import { type Bytes, concat, decodeBase64, equal, textOf, uint64, utf8, bytesOf } from "./bytes.ts";
import { digest } from "./digest.ts";
import type { Head } from "./formats.ts";
import { type Key, type LogKeys, setFor } from "./keys.ts";
import { hash } from "./shape.ts";
import { verifies } from "./signatures.ts";
import type { Zip } from "./zip.ts";

const NAME = "checkpoint";
const TYPE_ED25519 = 0x01;
const TYPE_ML_DSA_44 = 0x06;
const KEY_ID_BYTES = 4;
const TIME_BYTES = 8;
/** Where the signature lines begin, from 0: origin, size, root and a blank line come before. */
const TEXT_LINES = 4;
const SIGNATURE_LINE = /^\u2014 (\S+) ([A-Za-z0-9+/=]+)$/u;
const DECIMAL = /^(?:0|[1-9]\d{0,15})$/;

interface SignatureLine {
  /** In the file, from 1. */
  readonly number: number;
  readonly name: string;
  readonly id: Bytes;
  /** What follows the key id. */
  readonly signature: Bytes;
}

/**
 * Check the checkpoint (c2sp.org/signed-note, tlog-checkpoint, tlog-cosignature).
 *
 * @throws Bad `bad_note`, `bad_signature`, `wrong_root`
 */
export async function checkCheckpoint(zip: Zip, head: Head, keys: LogKeys): Promise<void> {
  const lines = linesOf(await zip.read(NAME));
  const [origin = "", size = "", root = "", blank] = lines;
  if (lines.pop() !== "" || origin !== keys.origin || !DECIMAL.test(size) || !hash(root) || blank !== "") {
    throw refused("is not a checkpoint of this log");
  }
  const signed = lines.slice(TEXT_LINES).map((line, index) => signatureLine(line, TEXT_LINES + index + 1));
  // By the keys of the size it claims: whether that is the day's is asked of what is known to be signed.
  const { ed25519, "ml-dsa-44": mlDsa } = setFor(keys, Number(size)).keys;
  const byEd25519 = await lineOf(signed, origin, TYPE_ED25519, ed25519);
  await check(ed25519, byEd25519, byEd25519.signature, utf8(`${origin}\n${size}\n${root}\n`));
  const byMlDsa = await lineOf(signed, origin, TYPE_ML_DSA_44, mlDsa);
  const [time, signature] = [
    byMlDsa.signature.subarray(0, TIME_BYTES),
    byMlDsa.signature.subarray(TIME_BYTES),
  ];
  if ((time[0] ?? 0) > 0x7f) {
    throw new Bad("bad_signature", NAME, "names a time that is out of range", byMlDsa.number);
  }
  await check(mlDsa, byMlDsa, signature, cosigned(origin, time, Number(size), root));
  if (signed.length !== 2 || signed[0] !== byEd25519 || signed[1] !== byMlDsa) {
    throw refused("has other signatures than the log's two, or in another order");
  }
  if (size !== String(head.tree_size) || root !== head.root_hash) {
    throw new Bad("wrong_root", NAME, "is not of the tree of sth.json");
  }
}

function linesOf(data: Bytes): string[] {
  try {
    return textOf(data).split("\n");
  } catch {
    throw refused("is not UTF-8");
  }
}

/** Return what the cosignature signs: the subtree [0, tree_size) at a time. */
function cosigned(origin: string, time: Bytes, size: number, root: string): Bytes {
  const name = utf8(origin);
  const named = concat(Uint8Array.of(name.length), name);
  const range = concat(uint64(0), uint64(size));
  return concat(utf8("subtree/v1\n\0"), named, time, named, range, bytesOf(root));
}

function signatureLine(line: string, number: number): SignatureLine {
  const [, name, spelled] = SIGNATURE_LINE.exec(line) ?? [];
  const blob = spelled === undefined ? null : decodeBase64(spelled);
  if (name === undefined || blob === null || blob.length <= KEY_ID_BYTES) {
    throw refused("is not a signature line", number);
  }
  return { number, name, id: blob.subarray(0, KEY_ID_BYTES), signature: blob.subarray(KEY_ID_BYTES) };
}

/** Return the signature line of a key. @throws Bad `bad_signature` */
async function lineOf(
  signed: readonly SignatureLine[],
  origin: string,
  type: number,
  key: Key,
): Promise<SignatureLine> {
  const id = await digest(concat(utf8(`${origin}\n`), Uint8Array.of(type), key.raw));
  const found = signed.find((line) => line.name === origin && equal(line.id, id.subarray(0, KEY_ID_BYTES)));
  if (found === undefined) throw new Bad("bad_signature", NAME, `is not signed by the log's ${key.alg} key`);
  return found;
}

async function check(key: Key, line: SignatureLine, signature: Bytes, message: Bytes): Promise<void> {
  if (!(await verifies(key.alg, key.raw, signature, message))) {
    throw new Bad("bad_signature", NAME, `the ${key.alg} signature does not verify`, line.number);
  }
}

function refused(reason: string, line: number | null = null): Bad {
  return new Bad("bad_note", NAME, reason, line);
}

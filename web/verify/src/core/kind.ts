/** What a file is, before it is asked whether a pack proves what it claims. */

import { type Bytes, textOf } from "./bytes.ts";

/**
 * `not_a_pack`: no zip. `cut_short`: it begins as a pack does, and the end of a zip is not there.
 * `packed_anew`: a zip with a manifest, but not of the one form that a pack has.
 */
export type PackKind = "pack" | "not_a_pack" | "cut_short" | "packed_anew";

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END_BYTES = 22;
const CENTRAL_BYTES = 46;
const MAX_COMMENT = 0xffff;
/** Most bytes of a directory that is walked; a tool's, of a pack's members, is a few MiB. */
const MAX_DIRECTORY = 64 * 1024 * 1024;
const MANIFEST = /(?:^|[/\\])manifest\.json$/;

/** Return the kind of a file that has, or has not, been found to have the form of a pack. */
export async function kindOf(blob: Blob, wellFormed: boolean): Promise<PackKind> {
  const start = await read(blob, 0, 4);
  if (start.byteLength < 4 || start.getUint32(0, true) !== LOCAL) return "not_a_pack";
  if (wellFormed) return "pack";
  const end = await findEnd(blob);
  if (end === null) return "cut_short";
  return (await hasManifest(blob, end)) ? "packed_anew" : "pack";
}

async function read(blob: Blob, from: number, to: number): Promise<DataView<ArrayBuffer>> {
  return new DataView(await blob.slice(from, to).arrayBuffer());
}

/** Return where the last end record begins, which a comment may follow; null without one. */
async function findEnd(blob: Blob): Promise<number | null> {
  const from = Math.max(0, blob.size - END_BYTES - MAX_COMMENT);
  const tail = await read(blob, from, blob.size);
  for (let at = tail.byteLength - END_BYTES; at >= 0; at--) {
    if (tail.getUint32(at, true) === END) return from + at;
  }
  return null;
}

/** Tell whether the directory before an end record can be walked as any reader of zips would, and lists a manifest. */
async function hasManifest(blob: Blob, end: number): Promise<boolean> {
  const size = (await read(blob, end, end + END_BYTES)).getUint32(12, true);
  if (size > end || size > MAX_DIRECTORY) return false;
  const directory = await read(blob, end - size, end);
  let found = false;
  let at = 0;
  while (at + CENTRAL_BYTES <= size && directory.getUint32(at, true) === CENTRAL) {
    const [name, extra, comment] = [28, 30, 32].map((offset) => directory.getUint16(at + offset, true)) as [
      number,
      number,
      number,
    ];
    found ||= isManifest(new Uint8Array(directory.buffer, at + CENTRAL_BYTES).subarray(0, name));
    at += CENTRAL_BYTES + name + extra + comment;
  }
  return found && at === size;
}

function isManifest(raw: Bytes): boolean {
  try {
    return MANIFEST.test(textOf(raw));
  } catch {
    return false; // not UTF-8
  }
}

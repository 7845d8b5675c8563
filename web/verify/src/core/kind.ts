/** What a file is, before it is asked whether a pack proves what it claims. */

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
const MANIFEST = /(?:^|\/)manifest\.json$/;
const UNSAFE = /^\/|\\|(?:^|\/)\.\.(?:\/|$)/;
const latin1 = new TextDecoder("latin1");

/**
 * Return the kind of a file.
 *
 * @param code for which its zip was refused; null if it has the form of a pack
 */
export async function kindOf(blob: Blob, code: string | null): Promise<PackKind> {
  const start = await read(blob, 0, 4);
  if (start.byteLength < 4 || start.getUint32(0, true) !== LOCAL) return "not_a_pack";
  // No program that packs files writes one twice: that is made.
  if (code === null || code === "zip_duplicate") return "pack";
  const end = await findEnd(blob);
  if (end === null) return "cut_short";
  return (await isRepacked(blob, end)) ? "packed_anew" : "pack";
}

async function read(blob: Blob, from: number, to: number): Promise<DataView<ArrayBuffer>> {
  return new DataView(await blob.slice(from, to).arrayBuffer());
}

/** Return where the last end record begins that ends, with its comment, where the file does; null without one. */
async function findEnd(blob: Blob): Promise<number | null> {
  const from = Math.max(0, blob.size - END_BYTES - MAX_COMMENT);
  const tail = await read(blob, from, blob.size);
  for (let at = tail.byteLength - END_BYTES; at >= 0; at--) {
    const fits = at + END_BYTES + tail.getUint16(at + 20, true) === tail.byteLength;
    if (fits && tail.getUint32(at, true) === END) return from + at;
  }
  return null;
}

/** Tell whether an end record names the directory of an ordinary program's zip that has a manifest. */
async function isRepacked(blob: Blob, end: number): Promise<boolean> {
  const record = await read(blob, end, end + END_BYTES);
  const [size, offset] = [record.getUint32(12, true), record.getUint32(16, true)];
  if (offset + size > end || size > MAX_DIRECTORY) return false;
  const names = namesIn(await read(blob, offset, offset + size), record.getUint16(10, true));
  if (names === null || new Set(names).size !== names.length) return false;
  return names.some((name) => MANIFEST.test(name)) && !names.some((name) => UNSAFE.test(name));
}

/** Return the names in a directory of so many entries, a character for each byte; null if it is none. */
function namesIn(directory: DataView<ArrayBuffer>, count: number): string[] | null {
  const names: string[] = [];
  let at = 0;
  while (names.length < count) {
    if (at + CENTRAL_BYTES > directory.byteLength || directory.getUint32(at, true) !== CENTRAL) return null;
    const lengthAt = (offset: number): number => directory.getUint16(at + offset, true);
    const next = at + CENTRAL_BYTES + lengthAt(28) + lengthAt(30) + lengthAt(32);
    if (next > directory.byteLength) return null;
    names.push(latin1.decode(new Uint8Array(directory.buffer, at + CENTRAL_BYTES, lengthAt(28))));
    at = next;
  }
  return at === directory.byteLength ? names : null;
}

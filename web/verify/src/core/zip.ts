/**
 * A zip of exactly the form of a pack.
 *
 * Of a header only name, CRC, sizes and offset vary, and the offset follows from the member before. So
 * headers are made again from those and compared byte by byte; what is not fixed is not there to be
 * interpreted.
 */

import { Bad } from "./bad.ts";
import { type Bytes, concat, equal, textOf, utf8 } from "./bytes.ts";
import { Crc32 } from "./crc32.ts";

/** What a failure of the zip as a whole is filed under. */
export const ZIP = "zip";
/** Most bytes of a member that is not read piece by piece. */
export const MAX_MEMBER_BYTES = 8 * 1024 * 1024;
/** Most bytes of a line: a receipt of 65,535. */
export const MAX_LINE_BYTES = 65_535;

const END_BYTES = 22;
const CENTRAL_BYTES = 46;
const MAX_UINT16 = 0xffff;
const SAFE_NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/;
const READ_BYTES = 1 << 20;
/** Deflate expands up to a thousandfold: what goes in at once bounds what comes out at once. */
const FEED_BYTES = 1 << 14;

export interface Member {
  readonly name: string;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
  /** Where the compressed bytes begin. */
  readonly offset: number;
}

export interface Line {
  /** From 1. */
  readonly number: number;
  /** Without its newline. */
  readonly data: Bytes;
}

/** Tell whether a member may be of any size: such are never held whole in memory as text. */
export function isStreamed(name: string): boolean {
  return name.endsWith(".jsonl") || name.startsWith("policy/");
}

export class Zip {
  /** Plain bytes that have come out of members so far, counting each reading. */
  inflated = 0;

  private constructor(
    private readonly blob: Blob,
    readonly members: ReadonlyMap<string, Member>,
  ) {}

  /**
   * Check the structure; no member is read.
   *
   * @throws Bad `zip_malformed`, `zip_unsafe_name`, `zip_duplicate`
   */
  static async open(blob: Blob): Promise<Zip> {
    const { count, offset, directory } = await readDirectory(blob);
    const members = new Map<string, Member>();
    let at = 0;
    let next = 0;
    for (let index = 0; index < count; index++) {
      const member = readEntry(directory, at, next);
      if (members.has(member.name)) throw new Bad("zip_duplicate", member.name, "is in the zip twice");
      const central = centralHeader(member, next);
      if (!equal(directory.subarray(at, at + central.length), central)) {
        throw new Bad("zip_malformed", member.name, "has a zip header that no pack has");
      }
      const local = localHeader(member);
      if (!equal(await read(blob, next, local.length), local)) {
        throw new Bad("zip_malformed", member.name, "has two zip headers that differ");
      }
      members.set(member.name, member);
      next = member.offset + member.packed;
      at += central.length;
      if (next > offset) throw new Bad("zip_malformed", member.name, "reaches beyond the members of the zip");
    }
    if (at !== directory.length || next !== offset) {
      throw new Bad("zip_malformed", ZIP, "holds bytes that belong to no member");
    }
    checkCollisions([...members.keys()]);
    return new Zip(blob, members);
  }

  member(name: string): Member {
    const member = this.members.get(name);
    if (member === undefined) throw new Bad("member_missing", name, "is missing");
    return member;
  }

  /**
   * Yield a member's plain bytes, never more of them than its header says.
   *
   * @throws Bad `member_missing`, `zip_damaged`
   */
  async *chunks(name: string): AsyncGenerator<Bytes, void, undefined> {
    const member = this.member(name);
    const crc = new Crc32();
    let size = 0;
    for await (const chunk of inflate(this.blob.slice(member.offset, member.offset + member.packed), name)) {
      size += chunk.length;
      this.inflated += chunk.length;
      if (size > member.size) throw new Bad("zip_damaged", name, "expands beyond the size in its header");
      crc.update(chunk);
      yield chunk;
    }
    if (size !== member.size || crc.value !== member.crc) {
      throw new Bad("zip_damaged", name, "has not the size and checksum of its header");
    }
  }

  /**
   * Return a small member whole.
   *
   * @throws Bad `member_missing`, `member_too_large`, `zip_damaged`
   */
  async read(name: string): Promise<Bytes> {
    if (this.member(name).size > MAX_MEMBER_BYTES) {
      throw new Bad("member_too_large", name, `is larger than ${MAX_MEMBER_BYTES} bytes`);
    }
    const parts: Bytes[] = [];
    for await (const chunk of this.chunks(name)) parts.push(chunk);
    return concat(...parts);
  }

  /**
   * Yield the lines of a `.jsonl` member, those of one chunk at a time.
   *
   * @throws Bad `member_missing`, `zip_damaged`, `line_too_long`, `line_unfinished`
   */
  async *lines(name: string): AsyncGenerator<Line[], void, undefined> {
    let rest: Bytes = new Uint8Array(0);
    let number = 0;
    for await (const chunk of this.chunks(name)) {
      const data = rest.length > 0 ? concat(rest, chunk) : chunk;
      const lines: Line[] = [];
      let start = 0;
      for (let end = data.indexOf(10); end !== -1; end = data.indexOf(10, start)) {
        lines.push({ number: ++number, data: data.subarray(start, end) });
        start = end + 1;
      }
      rest = data.subarray(start);
      yield lines;
      if (rest.length > MAX_LINE_BYTES) {
        throw new Bad("line_too_long", name, `is longer than ${MAX_LINE_BYTES} bytes`, number + 1);
      }
    }
    if (rest.length > 0) throw new Bad("line_unfinished", name, "does not end with a newline", number + 1);
  }
}

/**
 * Refuse two names that are one file where case does not count, and a file where another has a folder.
 *
 * @throws Bad `zip_duplicate`, at the first member of the zip that collides with one before it
 */
function checkCollisions(names: readonly string[]): void {
  const keys = names.map((name, index) => ({ index, key: `${name.toLowerCase()}/` }));
  // Sorted, all that begins with a key comes right behind it: one pass, however deep and many the folders are.
  keys.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.index - b.index));
  let found = { earlier: 0, later: names.length };
  /** Keys that the one at hand begins with, each with the first place in the zip of it and those below it. */
  const open: { key: string; index: number }[] = [];
  for (const { index, key } of keys) {
    while (open.length > 0 && !key.startsWith((open.at(-1) as { key: string }).key)) open.pop();
    const first = open.at(-1)?.index ?? index;
    const pair = { earlier: Math.min(first, index), later: Math.max(first, index) };
    if (open.length > 0 && pair.later < found.later) found = pair;
    open.push({ key, index: pair.earlier });
  }
  if (found.later === names.length) return;
  const reason = `cannot be unpacked beside ${names[found.earlier]}: they are one file, or a file and a folder`;
  throw new Bad("zip_duplicate", names[found.later] as string, reason);
}

async function read(blob: Blob, offset: number, count: number): Promise<Bytes> {
  const data = new Uint8Array(await blob.slice(offset, offset + count).arrayBuffer());
  if (data.length !== count) throw new Bad("zip_malformed", ZIP, "is truncated");
  return data;
}

async function readDirectory(blob: Blob): Promise<{ count: number; offset: number; directory: Bytes }> {
  const start = blob.size - END_BYTES;
  if (start < 0) throw new Bad("zip_malformed", ZIP, "is not a zip file");
  const record = await read(blob, start, END_BYTES);
  const view = new DataView(record.buffer);
  const count = view.getUint16(10, true);
  const size = view.getUint32(12, true);
  const offset = view.getUint32(16, true);
  const expected = fields("PK\x05\x06", [0, 0, count, count], [size, offset], [0]);
  if (!equal(record, expected) || count === MAX_UINT16) {
    throw new Bad(
      "zip_malformed",
      ZIP,
      "does not end as a pack ends: it is truncated, bytes follow it, or it is no zip",
    );
  }
  if (offset + size !== start) throw new Bad("zip_malformed", ZIP, "holds bytes that belong to no member");
  return { count, offset, directory: await read(blob, offset, size) };
}

function readEntry(directory: Bytes, at: number, start: number): Member {
  if (directory.length - at < CENTRAL_BYTES) throw new Bad("zip_malformed", ZIP, "has a truncated directory");
  const view = new DataView(directory.buffer, directory.byteOffset + at);
  const [crc, packed, size] = [view.getUint32(16, true), view.getUint32(20, true), view.getUint32(24, true)];
  const raw = directory.subarray(at + CENTRAL_BYTES, at + CENTRAL_BYTES + view.getUint16(28, true));
  const name = raw.every((byte) => byte < 0x80) ? textOf(raw) : "";
  if (raw.length !== view.getUint16(28, true) || !SAFE_NAME.test(name)) {
    throw new Bad(
      "zip_unsafe_name",
      ZIP,
      `holds a member with an unsafe name: ${JSON.stringify(name.slice(0, 80))}`,
    );
  }
  return { name, crc, packed, size, offset: start + 30 + raw.length };
}

// Version 20, no flags, deflate, 1980-01-01 00:00:00: what both headers of a member say.
const FIXED = [20, 0, 8, 0, 33];

function localHeader(member: Member): Bytes {
  const name = utf8(member.name);
  return concat(
    fields("PK\x03\x04", FIXED, [member.crc, member.packed, member.size], [name.length, 0]),
    name,
  );
}

function centralHeader(member: Member, start: number): Bytes {
  const name = utf8(member.name);
  const sizes = [member.crc, member.packed, member.size];
  return concat(
    fields("PK\x01\x02", [(3 << 8) | 20, ...FIXED], sizes, [name.length, 0, 0, 0, 0]),
    fields("", [], [(0o100644 << 16) >>> 0, start], []),
    name,
  );
}

/** Return a signature, 16-bit, 32-bit and again 16-bit fields, little-endian. */
function fields(signature: string, first: number[], longs: number[], last: number[]): Bytes {
  const data = new Uint8Array(signature.length + 2 * (first.length + last.length) + 4 * longs.length);
  data.set(utf8(signature));
  const view = new DataView(data.buffer);
  let at = signature.length;
  for (const value of first) view.setUint16((at += 2) - 2, value, true);
  for (const value of longs) view.setUint32((at += 4) - 4, value, true);
  for (const value of last) view.setUint16((at += 2) - 2, value, true);
  return data;
}

/** Yield what raw deflate data expands to. @throws Bad `zip_damaged` */
async function* inflate(packed: Blob, name: string): AsyncGenerator<Bytes, void, undefined> {
  const stream = new DecompressionStream("deflate-raw");
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader() as ReadableStreamDefaultReader<Bytes>;
  feed(packed, writer).catch((error: unknown) => writer.abort(error).catch(() => undefined));
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        if (error instanceof DOMException) throw error; // the file cannot be read any more
        throw new Bad("zip_damaged", name, "has damaged compressed data, or bytes after it");
      });
      if (done) break;
      yield value;
    }
  } finally {
    // Both reject if the stream has failed already, which is known by then.
    await reader.cancel().catch(() => undefined);
    await writer.abort().catch(() => undefined);
  }
}

async function feed(packed: Blob, writer: WritableStreamDefaultWriter<Bytes>): Promise<void> {
  for (let start = 0; start < packed.size; start += READ_BYTES) {
    const data = new Uint8Array(await packed.slice(start, start + READ_BYTES).arrayBuffer());
    for (let at = 0; at < data.length; at += FEED_BYTES) {
      await writer.ready;
      await writer.write(data.subarray(at, at + FEED_BYTES));
    }
  }
  await writer.close();
}

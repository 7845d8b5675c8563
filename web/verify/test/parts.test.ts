import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import zlib from "node:zlib";
import { checkEmitters, type Gap } from "../src/core/accounts.ts";
import { decodeBase64, utf8 } from "../src/core/bytes.ts";
import { Crc32 } from "../src/core/crc32.ts";
import type { Day } from "../src/core/day.ts";
import type { EmitterTotals, Head } from "../src/core/formats.ts";
import { day, hash, time } from "../src/core/shape.ts";
import { Zip } from "../src/core/zip.ts";

test("CRC-32 has its check value, in pieces of any length", () => {
  const data = utf8("123456789");
  for (let cut = 0; cut <= data.length; cut++) {
    const crc = new Crc32();
    crc.update(data.subarray(0, cut));
    crc.update(data.subarray(cut));
    assert.equal(crc.value, 0xcbf43926);
  }
});

test("base64 has one spelling", () => {
  assert.deepEqual(decodeBase64("AQI="), Uint8Array.of(1, 2));
  for (const text of ["AQI", "AQJ=", "AQI=\n", " AQI=", "AQ-_", "=", "AQI=="])
    assert.equal(decodeBase64(text), null);
  assert.ok(hash("A".repeat(43) + "="));
  assert.ok(!hash("A".repeat(42) + "B="));
});

test("days and times are those of the calendar, from 1970 on", () => {
  for (const text of ["1970-01-01", "2024-02-29", "9999-12-31"]) assert.ok(day(text), text);
  for (const text of ["1969-12-31", "2025-02-29", "2026-13-01", "2026-1-1", "2026-11-31", "10000-01-01", 7]) {
    assert.ok(!day(text), String(text));
  }
  assert.ok(time("2026-11-23T23:59:59.999Z"));
  for (const text of [
    "2026-11-23T24:00:00.000Z",
    "2026-11-23T00:60:00.000Z",
    "2026-02-30T00:00:00.000Z",
    "2026-11-23T00:00:00Z",
  ]) {
    assert.ok(!time(text), text);
  }
});

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const [A, B] = ["a".repeat(32), "b".repeat(32)];

/** Hold totals to a day with these numbers of each emitter. */
function check(emitters: EmitterTotals, numbers: Record<string, number[]>): Promise<Gap[]> {
  return checkEmitters(
    { emitters } as Head,
    {
      emitters: new Map(Object.entries(numbers).map(([id, numbers]) => [id, { numbers, lines: [] }])),
    } as unknown as Day,
  );
}

test("emitters' accounts have one form, and no totals but their own hold", async () => {
  const accounts =
    `{"${A}":{"count":1,"first":9,"gaps":[],"last":9},` +
    `"${B}":{"count":4,"first":0,"gaps":[[1,2],[4,6]],"last":7}}`;
  const totals = { count: 2, decisions: 5, missing: 5, sha256: sha256(accounts) };
  const numbers = { [B]: [7, 0, 3, 3], [A]: [9] };
  assert.deepEqual(await check(totals, numbers), [
    { emitter: B, first: 1, last: 2 },
    { emitter: B, first: 4, last: 6 },
  ]);
  for (const lie of [{ count: 3 }, { decisions: 6 }, { missing: 4 }, { sha256: sha256("{}") }]) {
    await assert.rejects(check({ ...totals, ...lie }, numbers), {
      code: "wrong_emitters",
      reason: new RegExp(`emitters\\.${Object.keys(lie)[0]} `),
    });
  }
  assert.deepEqual(await check({ count: 0, decisions: 0, missing: 0, sha256: sha256("{}") }, {}), []);
});

test("gaps may be more than a call takes arguments, and missing numbers more than JSON holds", async () => {
  const largest = Number.MAX_SAFE_INTEGER;
  const account = `{"count":2,"first":0,"gaps":[[1,${largest - 1}]],"last":${largest}}`;
  const sum = sha256(`{"${A}":${account},"${B}":${account}}`);
  const numbers = { [A]: [0, largest], [B]: [largest, 0] };
  assert.equal((await check({ count: 2, decisions: 4, missing: largest, sha256: sum }, numbers)).length, 2);
  const even = Array.from({ length: 300_001 }, (_, index) => 2 * index);
  const gaps = even.slice(1).map((n) => `[${n - 1},${n - 1}]`);
  const wide = sha256(`{"${A}":{"count":300001,"first":0,"gaps":[${gaps.join(",")}],"last":600000}}`);
  const totals = { count: 1, decisions: 300_001, missing: 300_000, sha256: wide };
  assert.equal((await check(totals, { [A]: even.reverse() })).length, 300_000);
});

/** A zip of one member, as a pack has it; `size` is what its headers claim. */
function zipOf(name: string, content: Buffer, size = content.length): Blob {
  const packed = zlib.deflateRawSync(content);
  const crc = new Crc32();
  crc.update(content);
  const common = Buffer.alloc(26);
  [20, 0, 8, 0, 33].forEach((value, index) => common.writeUInt16LE(value, 2 * index));
  [crc.value, packed.length, size].forEach((value, index) => common.writeUInt32LE(value, 10 + 4 * index));
  common.writeUInt16LE(name.length, 22);
  const local = Buffer.concat([Buffer.from("PK\x03\x04"), common, Buffer.from(name), packed]);
  const tail = Buffer.alloc(14);
  tail.writeUInt32LE((0o100644 << 16) >>> 0, 6);
  const made = Buffer.from([20, 3]);
  const central = Buffer.concat([Buffer.from("PK\x01\x02"), made, common, tail, Buffer.from(name)]);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(local.length, 16);
  return new Blob([local, central, end]);
}

test("lines are whole at every end of a chunk", async () => {
  const lines = Array.from({ length: 5000 }, (_, index) => String(index).repeat(index % 60));
  const zip = await Zip.open(zipOf("a.jsonl", Buffer.from(lines.map((line) => `${line}\n`).join(""))));
  const found: string[] = [];
  for await (const batch of zip.lines("a.jsonl")) {
    for (const line of batch) assert.equal(found.push(Buffer.from(line.data).toString()), line.number);
  }
  assert.deepEqual(found, lines);
});

test("a member that expands beyond its header is stopped there", async () => {
  const zip = await Zip.open(zipOf("bomb", Buffer.alloc(64 << 20), 1000));
  await assert.rejects(zip.read("bomb"), { code: "zip_damaged", reason: /expands beyond/ });
});

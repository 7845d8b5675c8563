import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bytes, utf8 } from "../src/core/bytes.ts";
import { Bad } from "../src/core/bad.ts";
import { kindOf } from "../src/core/kind.ts";
import { Zip } from "../src/core/zip.ts";
import { visible, visibleJson } from "../src/page/visible.ts";

const EMPTY = Uint8Array.of(3, 0); // deflate's shortest block of nothing

/** Return a zip of the form of a pack, of empty members with these names. */
function zipOf(names: readonly string[]): Bytes {
  const locals: Buffer[] = [];
  const centrals: Buffer[] = [];
  let at = 0;
  for (const name of names) {
    const fixed = Buffer.alloc(26); // version, flags, method, time, date, CRC, sizes, lengths
    fixed.set([20, 0, 0, 0, 8, 0, 0, 0, 33, 0, 0, 0, 0, 0, 2]);
    fixed.writeUInt16LE(name.length, 22);
    const attributes = Buffer.alloc(14);
    attributes.writeUInt32LE((0o100644 << 16) >>> 0, 6);
    attributes.writeUInt32LE(at, 10);
    locals.push(Buffer.from("PK\x03\x04"), fixed, Buffer.from(name), Buffer.from(EMPTY));
    centrals.push(Buffer.from("PK\x01\x02\x14\x03"), fixed, attributes, Buffer.from(name));
    at += 30 + name.length + EMPTY.length;
  }
  const directory = Buffer.concat(centrals);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06");
  end.writeUInt16LE(names.length, 8);
  end.writeUInt16LE(names.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(at, 16);
  return new Uint8Array(Buffer.concat([...locals, directory, end]));
}

async function refusal(names: readonly string[]): Promise<[string, string] | null> {
  try {
    await Zip.open(new Blob([zipOf(names)]));
    return null;
  } catch (error) {
    assert.ok(error instanceof Bad);
    return [error.code, error.file];
  }
}

test("names that are one file when unpacked are refused, at the later", async () => {
  for (const [names, later] of [
    [["README", "readme"], "readme"],
    [["b", "a/B/c", "z", "A/b/C"], "A/b/C"],
    [["a", "b", "a/b"], "a/b"],
    [["A/b", "b", "a"], "a"],
    [["a/b/c/d", "x", "a/b"], "a/b"],
    [["x", "a/c", "b", "a", "a/b", "X"], "a"], // of several, the first in the zip
    [["a/c", "d/e", "D", "A/b", "a"], "D"],
    [["a/b", "c", "A/b/c", "a"], "A/b/c"],
    [["a", "a-", "a.b", "a/b"], "a/b"], // sorted as they are, others come between the two
  ] as const) {
    assert.deepEqual(await refusal(names), ["zip_duplicate", later], names.join());
  }
  assert.equal(await refusal(["a", "ab", "a-/b", "a.b", "b/a", "b/ab", "B/c"]), null);
});

test("what is no pack as it was made is told apart", async () => {
  const pack = zipOf(["manifest.json", "sth.json"]);
  const kind = (data: Uint8Array<ArrayBuffer> | string, code = "zip_malformed"): Promise<string> =>
    kindOf(new Blob([data]), code);
  assert.equal(await kindOf(new Blob([pack]), null), "pack");
  assert.equal(await kindOf(new Blob([pack]), "zip_duplicate"), "pack");
  for (const data of ["", "PK", "<!doctype html>", '{"message":"Forbidden"}', "\x1f\x8b\x08", "PK\x05\x06"]) {
    assert.equal(await kind(data), "not_a_pack", data);
  }
  for (const end of [4, 30, pack.length - 22, pack.length - 1]) {
    assert.equal(await kind(pack.slice(0, end)), "cut_short", String(end));
  }
  const noted = new Uint8Array([...pack, ...utf8("made by a tool")]);
  noted[pack.length - 2] = noted.length - pack.length;
  for (const data of [
    pack,
    noted,
    zipOf(["manifest.json", "folder/", "a..b"]),
    zipOf(["pack/manifest.json"]),
  ]) {
    assert.equal(await kind(data), "packed_anew");
  }
  // What no program makes of a pack is judged as one.
  for (const names of [["xl/workbook.xml"], ["nomanifest.json"], ["manifest.json", "a", "a"]]) {
    assert.equal(await kind(zipOf(names)), "pack", names.join());
  }
  for (const name of ["/a", "a\\b", "..", "../a", "a/../b", "a/.."]) {
    assert.equal(await kind(zipOf(["manifest.json", name])), "pack", name);
  }
  for (const at of [pack.length - 12, pack.length - 10, pack.length - 6]) {
    const wrong = pack.slice();
    wrong[at] = (wrong[at] as number) ^ 1; // how many members, the directory's size, its place
    assert.equal(await kind(wrong), "pack", String(at));
  }
  assert.equal(await kind(new Uint8Array([...pack, 10])), "cut_short"); // no end record at the end
});

test("what strangers write is seen, or spelled out", () => {
  assert.equal(visible('Grüße, 世界 🙂 "\\"'), 'Grüße, 世界 🙂 "\\"');
  assert.equal(visible("\x1b[2J\r\n\0\x7f\x9b"), "\\x1b[2J\\x0d\\x0a\\x00\\x7f\\x9b");
  assert.equal(visible("a\u202eb\u2066c\u061cd\u200fe"), "a\\u202eb\\u2066c\\u061cd\\u200fe");
  assert.equal(visible("\u200b\u200d\ufeff\u2028\u2029\u00ad"), "\\u200b\\u200d\\ufeff\\u2028\\u2029\\xad");
  assert.equal(visible("\ud800 \udc00 \u{e0041}\u3164"), "\\ud800 \\udc00 \\udb40\\udc41\\u3164");
});

test("JSON that is spelled out means the same", () => {
  const value = { path: "\x1b\x7f\x85\u202e\\x85 \u{e0041}\ud800 ü", list: [1, null] };
  const shown = visibleJson(JSON.stringify(value, null, 2));
  assert.deepEqual(JSON.parse(shown), value);
  assert.match(shown, /^[\n\x20-\x7eü]*$/u);
  assert.equal(shown.split("\n").length, 7);
});

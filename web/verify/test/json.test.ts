import assert from "node:assert/strict";
import { test } from "node:test";
import { Bad } from "../src/core/bad.ts";
import { utf8 } from "../src/core/bytes.ts";
import { canonical, parseCanonical } from "../src/core/json.ts";

const refused = (data: Uint8Array<ArrayBuffer>): void => {
  assert.throws(
    () => parseCanonical("x.json", data, 7),
    (error) => error instanceof Bad && error.code === "not_canonical" && error.line === 7,
  );
};

for (const text of [
  "null",
  "0",
  "-1",
  "9007199254740991",
  '"ü\u2028😀\x7f"',
  '"\\u0001\\b\\f\\n\\r\\t\\"\\\\/"',
  "[]",
  "{}",
  '{"":1,"10":2,"9":3,"A":4,"__proto__":5,"a":[true,false,null]}',
  "[".repeat(32) + "]".repeat(32),
]) {
  test(`canonical bytes are read and written alike: ${text.slice(0, 40)}`, () => {
    assert.equal(canonical(parseCanonical("x.json", utf8(text))), text);
  });
}

for (const text of [
  "",
  " 1",
  "1\n",
  "1.0",
  "1e2",
  "-0",
  "1.5",
  "9007199254740992",
  "9007199254740993",
  "-9007199254740992",
  "9".repeat(400),
  "NaN",
  "{'a':1}",
  '{"a":1,"a":1}',
  '{"b":1,"a":2}',
  '{"ü":1}',
  '{"a": 1}',
  '"\\u00fc"',
  '"\\ud800"',
  '"\\/"',
  '"\\u001F"',
  "[1,]",
  "[".repeat(33) + "]".repeat(33),
  "[".repeat(60_000),
  '{"a":'.repeat(10_000),
  "\ufeff1",
]) {
  test(`other spellings are refused: ${JSON.stringify(text.slice(0, 40))}`, () => refused(utf8(text)));
}

test("bytes that are not UTF-8 are refused", () => {
  refused(Uint8Array.of(0x22, 0xff, 0x22));
  refused(Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22)); // a surrogate, encoded
  refused(Uint8Array.of(0x22, 0xc0, 0xaf, 0x22)); // an overlong slash
});

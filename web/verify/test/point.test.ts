import assert from "node:assert/strict";
import { test } from "node:test";
import type { Bytes } from "../src/core/bytes.ts";
import { faultOfPoint, hasOrderL } from "../src/core/point.ts";

const P = 2n ** 255n - 19n;
const fromHex = (text: string): Bytes => new Uint8Array(Buffer.from(text, "hex"));

function encoded(y: bigint, sign = false): Bytes {
  const value = sign ? y | (1n << 255n) : y;
  return Uint8Array.from({ length: 32 }, (_, index) => Number((value >> BigInt(8 * index)) & 255n));
}

function number(data: Uint8Array): bigint {
  return data.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

// The points of small order as they are listed in texts on Ed25519's cofactor.
const SMALL = [
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
].map((text) => number(fromHex(text)));

test("the list of small orders is whole", () => {
  // Twice a point of order 8 has y = 0, so x² = -y²; in the curve's equation that leaves d·y⁴ + 2·y² - 1 = 0.
  const square = (value: bigint): bigint => (value * value) % P;
  const solves = (y: bigint): boolean =>
    (-121665n * square(square(y)) + 121666n * (2n * square(y) - 1n)) % P === 0n;
  assert.equal(new Set(SMALL.filter(solves)).size, 2);
});

test("points of small order are refused, with either sign", () => {
  for (const y of SMALL) {
    for (const sign of [false, true])
      assert.match(faultOfPoint(encoded(y, sign)) ?? "", /small order/, `${y}`);
  }
});

test("coordinates that are not reduced are refused, with either sign", () => {
  for (let y = P; y < 2n ** 255n; y++) {
    for (const sign of [false, true]) assert.match(faultOfPoint(encoded(y, sign)) ?? "", /canonical/, `${y}`);
  }
  assert.equal(faultOfPoint(encoded(P - 2n)), null);
  assert.equal(faultOfPoint(encoded(2n)), null);
});

test("the key that RFC 8032 signs its first test with is taken", () => {
  const key = fromHex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  assert.equal(faultOfPoint(key), null);
  assert.ok(hasOrderL(key));
});

test("points of mixed order, and what is no point, have not the order of the base point", () => {
  const base = 46316835694926478169428394003475163141307993866256225615783033603165251855960n;
  assert.equal((5n * base) % P, 4n);
  for (const sign of [false, true]) {
    assert.ok(hasOrderL(encoded(base, sign)));
    assert.ok(!hasOrderL(encoded(P - base, sign)), "the base point and that of order 2");
    assert.ok(!hasOrderL(encoded(2n, sign)), "no point: no x");
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bytes, concat, equal, hex } from "../src/core/bytes.ts";
import { sha256 } from "../src/core/digest.ts";
import {
  DayTree,
  EMPTY_ROOT,
  extendsTree,
  includes,
  leafInput,
  levelsOf,
  nodeHash,
} from "../src/core/merkle.ts";

const SIZE = 40;
const LEAVES = Array.from({ length: SIZE }, (_, index) => sha256(leafInput(Uint8Array.of(index))));

/** Section 2.1.1 of RFC 9162, word by word. */
function rootOf(leaves: readonly Bytes[]): Bytes {
  if (leaves.length === 0) return EMPTY_ROOT;
  if (leaves.length === 1) return leaves[0] as Bytes;
  const split = splitOf(leaves.length);
  return nodeHash(rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)));
}

function splitOf(size: number): number {
  let split = 1;
  while (2 * split < size) split *= 2;
  return split;
}

/** Section 2.1.3.1. */
function pathOf(index: number, leaves: readonly Bytes[]): Bytes[] {
  if (leaves.length <= 1) return [];
  const split = splitOf(leaves.length);
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)];
  return index < split
    ? [...pathOf(index, left), rootOf(right)]
    : [...pathOf(index - split, right), rootOf(left)];
}

/** Section 2.1.4.1. */
function subproof(size: number, leaves: readonly Bytes[], whole: boolean): Bytes[] {
  if (size === leaves.length) return whole ? [] : [rootOf(leaves)];
  const split = splitOf(leaves.length);
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)];
  return size <= split
    ? [...subproof(size, left, whole), rootOf(right)]
    : [...subproof(size - split, right, false), rootOf(left)];
}

/** The tree of a day that begins at leaf `first`. */
function dayTree(first: number, size: number): DayTree {
  const left: Bytes[] = [];
  let at = 0;
  for (const level of levelsOf(first)) left.push(rootOf(LEAVES.slice(at, (at += 2 ** level))));
  return new DayTree(first, left, concat(...LEAVES.slice(first, size)));
}

const everyDay = (visit: (first: number, size: number) => void): void => {
  for (let size = 0; size <= SIZE; size++) for (let first = 0; first <= size; first++) visit(first, size);
};

test("the tree of eight leaves has the root that Certificate Transparency's tests know", () => {
  const entries = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
  ];
  const leaves = entries.map((entry) => sha256(leafInput(Buffer.from(entry, "hex"))));
  const root = new DayTree(0, [], concat(...leaves)).root();
  assert.equal(hex(root), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
});

test("every day of every tree leads from the root before to its own", () => {
  everyDay((first, size) => {
    const tree = dayTree(first, size);
    assert.ok(equal(tree.rootBefore(), rootOf(LEAVES.slice(0, first))), `${first} of ${size}`);
    assert.ok(equal(tree.root(), rootOf(LEAVES.slice(0, size))), `${first} of ${size}`);
  });
});

test("every leaf of every day has its audit path, over the leaves it names", () => {
  everyDay((first, size) => {
    const tree = dayTree(first, size);
    for (let index = first; index < size; index++) {
      const path = tree.path(index);
      assert.deepEqual(
        path.map((node) => node.root),
        pathOf(index, LEAVES.slice(0, size)),
      );
      for (const { start, end, root } of path) assert.ok(equal(root, rootOf(LEAVES.slice(start, end))));
    }
  });
});

test("inclusion holds for the leaf in its place, and for nothing else", () => {
  for (let size = 1; size <= SIZE; size++) {
    const root = rootOf(LEAVES.slice(0, size));
    for (let index = 0; index < size; index++) {
      const [leaf, path] = [LEAVES[index] as Bytes, pathOf(index, LEAVES.slice(0, size))];
      assert.ok(includes(leaf, index, size, path, root));
      assert.ok(!includes(EMPTY_ROOT, index, size, path, root));
      assert.ok(!includes(leaf, size, size, path, root));
      assert.ok(!includes(leaf, index, size, [...path, root], root));
      if (path.length > 0) {
        assert.ok(!includes(leaf, index, size, path.slice(1), root));
        assert.ok(!includes(leaf, index, size, path.slice(0, -1), root));
        assert.ok(!includes(leaf, index ^ 1, size, path, root));
      }
    }
  }
});

test("consistency holds from each tree to each larger one, and for no other root", () => {
  for (let size2 = 2; size2 <= SIZE; size2++) {
    const root2 = rootOf(LEAVES.slice(0, size2));
    for (let size1 = 1; size1 < size2; size1++) {
      const root1 = rootOf(LEAVES.slice(0, size1));
      const proof = subproof(size1, LEAVES.slice(0, size2), true);
      assert.ok(extendsTree(size1, root1, size2, root2, proof), `${size1} to ${size2}`);
      assert.ok(!extendsTree(size1, EMPTY_ROOT, size2, root2, proof));
      assert.ok(!extendsTree(size1, root1, size2, EMPTY_ROOT, proof));
      assert.ok(!extendsTree(size1, root1, size2, root2, [...proof, root1]));
      assert.ok(!extendsTree(size1, root1, size2, root2, proof.slice(1)));
    }
  }
});

test("sizes beyond 32 bits are sizes", () => {
  assert.deepEqual(levelsOf(2 ** 40 + 5), [40, 2, 0]);
  const path = Array.from({ length: 41 }, () => EMPTY_ROOT);
  const steps = path.reduce((hash) => nodeHash(EMPTY_ROOT, hash), EMPTY_ROOT);
  assert.ok(includes(EMPTY_ROOT, 2 ** 41 - 1, 2 ** 41, path, steps));
});

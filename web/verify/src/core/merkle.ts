/**
 * The tree of RFC 9162: proofs, and the part of it that a day's receipts are.
 *
 * Sizes and indexes go beyond 32 bits, so there is arithmetic here where one would expect shifts.
 */

import { type Bytes, concat, equal } from "./bytes.ts";
import { sha256 } from "./digest.ts";

export const HASH_BYTES = 32;
export const EMPTY_ROOT = sha256(new Uint8Array(0));

const LEAF = Uint8Array.of(0);
/** What an inner node's hash is taken of; its first byte never changes. */
const inner = new Uint8Array(1 + 2 * HASH_BYTES).fill(1, 0, 1);

const half = (value: number): number => Math.floor(value / 2);
const isOdd = (value: number): boolean => value % 2 === 1;

/** What SHA-256 is taken of for a leaf (section 2.1.1). */
export function leafInput(entry: Uint8Array): Bytes {
  return concat(LEAF, entry);
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Bytes {
  inner.set(left, 1);
  inner.set(right, 1 + HASH_BYTES);
  return sha256(inner);
}

/** Return the levels of the perfect subtrees that cover the leaves 0 … size − 1, largest first. */
export function levelsOf(size: number): number[] {
  const levels: number[] = [];
  for (let level = 0, rest = size; rest > 0; rest = half(rest), level++)
    if (isOdd(rest)) levels.unshift(level);
  return levels;
}

/** One step from a leaf to the root. */
export interface Step {
  readonly sibling: Bytes;
  /** Where the sibling stands. */
  readonly side: "left" | "right";
  /** The hash of both. */
  readonly parent: Bytes;
}

/** Return the way a proof leads from a leaf (section 2.1.3.2); null if it does not fit index and size. */
export function walk(leaf: Bytes, index: number, size: number, proof: readonly Bytes[]): Step[] | null {
  if (index >= size) return null;
  const steps: Step[] = [];
  let [position, last, hash] = [index, size - 1, leaf];
  for (const sibling of proof) {
    if (last === 0) return null;
    const side = isOdd(position) || position === last ? "left" : "right";
    hash = side === "left" ? nodeHash(sibling, hash) : nodeHash(hash, sibling);
    steps.push({ sibling, side, parent: hash });
    // At the right edge, levels in which the node has no sibling are passed over.
    if (side === "left")
      while (!isOdd(position) && position !== 0) [position, last] = [half(position), half(last)];
    [position, last] = [half(position), half(last)];
  }
  return last === 0 ? steps : null;
}

/** Tell whether a proof shows that a leaf is in the tree. */
export function includes(
  leaf: Bytes,
  index: number,
  size: number,
  proof: readonly Bytes[],
  root: Bytes,
): boolean {
  const steps = walk(leaf, index, size, proof);
  return steps !== null && equal(steps.at(-1)?.parent ?? leaf, root);
}

/** Tell whether a proof shows that one tree, not empty, is a prefix of a larger one (section 2.1.4.2). */
export function extendsTree(
  size1: number,
  root1: Bytes,
  size2: number,
  root2: Bytes,
  proof: readonly Bytes[],
): boolean {
  if (size1 <= 0 || size1 >= size2 || proof.length === 0) return false;
  let [position, last] = [size1 - 1, size2 - 1];
  while (isOdd(position)) [position, last] = [half(position), half(last)];
  // A first tree that is a perfect subtree is itself where the proof begins.
  const path = levelsOf(size1).length === 1 ? [root1, ...proof] : [...proof];
  let old = path.shift() as Bytes;
  let whole = old;
  for (const sibling of path) {
    if (last === 0) return false;
    if (isOdd(position) || position === last) {
      old = nodeHash(sibling, old);
      whole = nodeHash(sibling, whole);
      while (!isOdd(position) && position !== 0) [position, last] = [half(position), half(last)];
    } else {
      whole = nodeHash(whole, sibling);
    }
    [position, last] = [half(position), half(last)];
  }
  return last === 0 && equal(old, root1) && equal(whole, root2);
}

/** The leaves [start, end) and the root over them. */
export interface Subtree {
  readonly start: number;
  readonly end: number;
  readonly root: Bytes;
}

interface Level {
  /** Index, within the level, of the first node held. */
  readonly first: number;
  readonly nodes: Uint8Array<ArrayBuffer>;
}

/** All perfect subtrees over a day's leaves: its root, and the proof of any leaf in it. */
export class DayTree {
  readonly size: number;
  private readonly levels: Level[] = [];
  /** The perfect subtrees of the leaves before the day, by level. */
  private readonly before = new Map<number, Bytes>();

  /**
   * @param firstLeaf index of the day's first leaf
   * @param left roots of the perfect subtrees before it, largest first; as many as `levelsOf(firstLeaf)`
   * @param leaves the day's leaf hashes, one after the other
   */
  constructor(
    readonly firstLeaf: number,
    private readonly left: readonly Bytes[],
    leaves: Uint8Array<ArrayBuffer>,
  ) {
    this.size = firstLeaf + leaves.length / HASH_BYTES;
    for (const [index, level] of levelsOf(firstLeaf).entries()) this.before.set(level, left[index] as Bytes);
    let [first, end] = [firstLeaf, this.size];
    this.levels.push({ first, nodes: leaves });
    for (let level = 0; half(end) > half(first); level++) {
      [first, end] = [half(first), half(end)];
      const nodes = new Uint8Array((end - first) * HASH_BYTES);
      for (let index = first; index < end; index++) {
        const hash = nodeHash(this.node(level, 2 * index), this.node(level, 2 * index + 1));
        nodes.set(hash, (index - first) * HASH_BYTES);
      }
      this.levels.push({ first, nodes });
    }
  }

  /** Return the root of the tree before the day. */
  rootBefore(): Bytes {
    return fold(this.left);
  }

  root(): Bytes {
    return this.rootOf(0, this.size);
  }

  /** Return the audit path of a leaf of the day, from the leaf upward (section 2.1.3.1). */
  path(index: number): Subtree[] {
    const path: Subtree[] = [];
    let [start, end] = [0, this.size];
    while (end - start > 1) {
      const middle = start + 2 ** (levelsOf(end - start - 1)[0] as number); // the largest power of two below
      if (index < middle) {
        path.unshift({ start: middle, end, root: this.rootOf(middle, end) });
        end = middle;
      } else {
        path.unshift({ start, end: middle, root: this.rootOf(start, middle) });
        start = middle;
      }
    }
    return path;
  }

  /** Return the root over leaves [start, end); start is a multiple of the largest power of two in the range. */
  private rootOf(start: number, end: number): Bytes {
    const roots: Bytes[] = [];
    let at = start;
    for (const level of levelsOf(end - start)) {
      roots.push(this.node(level, at / 2 ** level));
      at += 2 ** level;
    }
    return fold(roots);
  }

  /** Return a perfect subtree; one that begins before the day ends there too, or holds the day's first leaf. */
  private node(level: number, index: number): Bytes {
    const held = this.levels[level];
    if (held !== undefined && index >= held.first && (index - held.first) * HASH_BYTES < held.nodes.length) {
      const at = (index - held.first) * HASH_BYTES;
      return held.nodes.subarray(at, at + HASH_BYTES);
    }
    return this.before.get(level) as Bytes;
  }
}

/** Return the root over perfect subtrees, largest first. */
function fold(roots: readonly Bytes[]): Bytes {
  return roots.length === 0 ? EMPTY_ROOT : roots.reduceRight((right, left) => nodeHash(left, right));
}

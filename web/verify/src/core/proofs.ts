/** What leads from the receipts to the roots: range, consistency and inclusion. */

import { Bad } from "./bad.ts";
import { bytesOf, equal } from "./bytes.ts";
import type { Day } from "./day.ts";
import { CONSISTENCY, type Head, INCLUSION, RANGE } from "./formats.ts";
import type { Heads } from "./heads.ts";
import { parseCanonical } from "./json.ts";
import { DayTree, extendsTree, includes, levelsOf } from "./merkle.ts";
import type { Progress } from "./progress.ts";
import { type Held, held, type Shape } from "./shape.ts";
import type { Zip } from "./zip.ts";

const RANGE_NAME = "proofs/range.json";
const CONSISTENCY_NAME = "proofs/consistency.json";
const INCLUSION_NAME = "proofs/inclusion.jsonl";
/** Receipts up to which a pack carries inclusion proofs. */
const MAX_INCLUSION_PROOFS = 10_000;

/**
 * Check that the chains end where the head says.
 *
 * @throws Bad `receipt_count`, `chain_end`
 */
export function checkEnds(day: Day, head: Head): void {
  const file = "receipts.jsonl";
  const held = head.tree_size - head.first_leaf;
  if (day.count !== held)
    throw new Bad("receipt_count", file, `holds ${day.count} receipts, but the day has ${held}`);
  for (const [index, chain] of head.chains.entries()) {
    const state = day.chains[index];
    if (state?.next !== chain.next_seq || state.head !== chain.head) {
      throw new Bad("chain_end", file, `chain ${index} does not end where sth.json says`);
    }
  }
}

/**
 * Return the tree of the day; it grows out of the previous head's and has the root of this one.
 *
 * @throws Bad `not_canonical`, `bad_proof`, `wrong_root`
 */
export async function growTree(zip: Zip, heads: Heads, day: Day): Promise<DayTree> {
  const { last, before } = heads;
  const range = await parse(zip, RANGE_NAME, RANGE);
  if (range.first_leaf !== last.first_leaf || range.tree_size !== last.tree_size) {
    throw new Bad("bad_proof", RANGE_NAME, "is not for the leaves of sth.json");
  }
  if (range.left.length !== levelsOf(last.first_leaf).length) {
    throw new Bad("bad_proof", RANGE_NAME, "has a wrong number of hashes");
  }
  const tree = new DayTree(last.first_leaf, range.left.map(bytesOf), day.leaves.all());
  if (before !== null && !equal(tree.rootBefore(), bytesOf(before.root_hash))) {
    throw new Bad("wrong_root", RANGE_NAME, "does not lead to the root of the head of the day before");
  }
  if (!equal(tree.root(), bytesOf(last.root_hash))) {
    throw new Bad("wrong_root", "receipts.jsonl", "the receipts do not lead to the root of sth.json");
  }
  return tree;
}

/**
 * Check that the tree of each final head is a prefix of the next one's.
 *
 * @throws Bad `not_canonical`, `bad_proof`
 */
export async function checkConsistency(zip: Zip, heads: Heads): Promise<void> {
  const refuse = (reason: string): Bad => new Bad("bad_proof", CONSISTENCY_NAME, reason);
  const { proofs } = await parse(zip, CONSISTENCY_NAME, CONSISTENCY);
  if (proofs.length !== heads.all.length - 1) throw refuse("has not one proof from each head to the next");
  for (const [index, { size1, size2, proof }] of proofs.entries()) {
    const [from, to] = [heads.all[index] as Head, heads.all[index + 1] as Head];
    if (size1 !== from.tree_size || size2 !== to.tree_size)
      throw refuse(`does not go from ${from.date} to ${to.date}`);
    const [root1, root2] = [bytesOf(from.root_hash), bytesOf(to.root_hash)];
    // Between equal sizes, and from an empty tree, the heads themselves say all there is.
    const needless = size1 === 0 || size1 === size2;
    const holds = needless ? proof.length === 0 : extendsTree(size1, root1, size2, root2, proof.map(bytesOf));
    if (!holds)
      throw refuse(`does not prove that the tree of ${from.date} is a prefix of that of ${to.date}`);
  }
}

/**
 * Check the proof of each receipt; a day of more than 10,000 has none.
 *
 * @throws Bad `member_missing`, `manifest_members`, `not_canonical`, `bad_proof`
 */
export async function checkInclusion(zip: Zip, head: Head, day: Day, progress: Progress): Promise<void> {
  if (day.count > MAX_INCLUSION_PROOFS) {
    if (!zip.members.has(INCLUSION_NAME)) return;
    throw new Bad(
      "manifest_members",
      INCLUSION_NAME,
      `must not be there for more than ${MAX_INCLUSION_PROOFS} receipts`,
    );
  }
  const root = bytesOf(head.root_hash);
  let index = 0;
  for await (const lines of zip.lines(INCLUSION_NAME)) {
    for (const line of lines) {
      const refuse = (reason: string): Bad => new Bad("bad_proof", INCLUSION_NAME, reason, line.number);
      const value = parseCanonical(INCLUSION_NAME, line.data, line.number);
      const claim = held(value, INCLUSION, refuse);
      const leafIndex = head.first_leaf + index;
      if (index >= day.count || claim.id !== day.ids[index] || claim.leaf_index !== leafIndex) {
        throw refuse("is not the proof of the receipt in its place");
      }
      if (!includes(day.leaves.at(index), leafIndex, head.tree_size, claim.proof.map(bytesOf), root)) {
        throw refuse("does not lead to the root of sth.json");
      }
      progress(++index, day.count);
    }
  }
  if (index !== day.count)
    throw new Bad("bad_proof", INCLUSION_NAME, `has ${index} proofs for ${day.count} receipts`);
}

async function parse<S extends Shape>(zip: Zip, name: string, shape: S): Promise<Held<S>> {
  const value = parseCanonical(name, await zip.read(name));
  return held(value, shape, (wrong) => new Bad("bad_proof", name, wrong));
}

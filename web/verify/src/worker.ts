/** The worker: verifies a pack, then answers what the page asks about it. One worker serves one pack. */

import { detailOf, rowOf, select, summarize } from "./browse.ts";
import { obstacle } from "./core/signatures.ts";
import type { Released } from "./core/remarks.ts";
import { type Listener, type Outcome, verify } from "./core/verify.ts";
import { parseCallers } from "./core/callers.ts";
import type { ToPage, ToWorker } from "./messages.ts";

type Order = Extract<ToWorker, { kind: "verify" }>;

/** Put here by the build, from the files that packs are given. */
declare const RELEASED: Released;

/** Progress is told this often at most: the page has other things to do. */
const PROGRESS_MS = 60;

const NO_CALLERS =
  "The file of callers' keys is none: it has to be a JSON array of objects with keyid, alg and public_key, each keyid once and each key one that a caller may have.";

let outcome: Outcome | null = null;
let selected: Uint32Array = new Uint32Array(0);
/** Counts filters: rows of an earlier one may arrive late, and have to be told apart. */
let selection = 0;

function tell(message: ToPage): void {
  postMessage(message);
}

function makeListener(): Listener {
  let last = 0;
  return {
    started: (check) => tell({ kind: "started", check }),
    progress: (check, done, total) => {
      const now = performance.now();
      if (now - last < PROGRESS_MS) return;
      last = now;
      tell({ kind: "progress", check, done, total });
    },
    finished: (check, state) => tell({ kind: "finished", check, state }),
  };
}

async function verifyPack({ pack, logId, date, callers: text }: Order): Promise<void> {
  const missing = await obstacle();
  if (missing !== null) {
    tell({ kind: "obstacle", text: missing });
    return;
  }
  const callers = text === null ? new Map() : await parseCallers(text);
  if (callers === null) {
    tell({ kind: "obstacle", text: NO_CALLERS });
    return;
  }
  const started = performance.now();
  outcome = await verify(pack, { logId, date, callers, released: RELEASED }, makeListener());
  const { kind, failures, notices, zip, keys, heads, day, signed } = outcome;
  const inflated = zip?.inflated ?? 0;
  const good = failures.length === 0 && keys && heads && day && signed;
  const proven = good ? summarize(keys, heads, day, signed, logId !== null) : null;
  tell({
    kind: "verdict",
    verdict: { kind, failures, notices, proven, inflated, milliseconds: performance.now() - started },
  });
}

async function answer(message: ToWorker): Promise<void> {
  if (message.kind === "verify") {
    await verifyPack(message);
    return;
  }
  const { day, tree } = outcome ?? {};
  if (!day || !tree) return;
  if (message.kind === "filter") {
    selected = select(day, message.filter);
    tell({ kind: "filtered", selection: ++selection, count: selected.length });
  } else if (message.kind === "rows") {
    const of = selection;
    const wanted = [...selected.subarray(message.start, message.end)];
    const rows = await Promise.all(wanted.map((index) => rowOf(day, tree.firstLeaf, index)));
    tell({ kind: "rows", selection: of, start: message.start, rows });
  } else {
    tell({ kind: "receipt", detail: await detailOf(day, tree, message.index) });
  }
}

addEventListener("message", (event: MessageEvent<ToWorker>) => {
  answer(event.data).catch((error: unknown) => {
    const name = error instanceof Error ? error.name : "unknown error";
    tell({
      kind: "obstacle",
      text: `The file could not be read (${name}). Was it moved or changed? Choose it again.`,
    });
  });
});

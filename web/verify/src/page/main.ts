/** The page: takes a pack, hands it to a worker of its own, and shows what comes back. */

import type { Proven, ToPage, ToWorker, Verdict } from "../messages.ts";
import { decisions } from "./charts.ts";
import { CheckList } from "./checks.ts";
import { byId, sizeOf } from "./dom.ts";
import { keyChain, treeHead } from "./overview.ts";
import { ReceiptBrowser } from "./receipts.ts";
import { hideVerdict, showFolder, showObstacle, showVerdict } from "./verdict.ts";
import { visible } from "./visible.ts";

/** The worker's program, put here by the build: one file works from any place, a disk included. */
declare const WORKER_SOURCE: string;

const LOG_ID = /^[0-9a-f]{64}$/;

const checks = new CheckList();
const workerUrl = URL.createObjectURL(new Blob([WORKER_SOURCE], { type: "text/javascript" }));
let worker: Worker | null = null;
let browser: ReceiptBrowser | null = null;
let pack: File | null = null;
/** Counts what was asked: the answer to an earlier question is not shown. */
let asked = 0;

function ask(message: ToWorker): void {
  worker?.postMessage(message);
}

/** Return the log id in the field: null if it is empty, undefined (and say so) if it is none. */
function expectedLogId(): string | null | undefined {
  const field = byId<HTMLInputElement>("log-id");
  const text = field.value.trim().toLowerCase();
  const valid = text === "" || LOG_ID.test(text);
  field.setAttribute("aria-invalid", String(!valid));
  byId("log-id-error").textContent = valid
    ? ""
    : "A log id has 64 hexadecimal digits: correct it, or leave it empty.";
  return valid ? text || null : undefined;
}

/** Return the day in the field: null if it is empty, undefined (and say so) if it is none. */
function askedDay(): string | null | undefined {
  const field = byId<HTMLInputElement>("day");
  const valid = field.validity.valid;
  field.setAttribute("aria-invalid", String(!valid));
  byId("day-error").textContent = valid ? "" : "This is no day: correct it, or leave it empty.";
  return valid ? field.value || null : undefined;
}

async function check(): Promise<void> {
  const [logId, date] = [expectedLogId(), askedDay()];
  if (logId === undefined || date === undefined) {
    byId(logId === undefined ? "log-id" : "day").focus();
    return;
  }
  if (pack === null) return;
  const mine = ++asked;
  worker?.terminate();
  browser = null;
  hideVerdict();
  byId("proven").hidden = true;
  byId("proven").replaceChildren();
  byId("drop-title").textContent = visible(pack.name);
  byId("drop-hint").textContent = `${sizeOf(pack.size)}. Drop or choose another pack to check that.`;
  byId("choose").classList.add("chosen");
  byId("again").hidden = false;
  checks.reset();
  const callers = (await byId<HTMLInputElement>("callers").files?.[0]?.text()) ?? null;
  if (mine !== asked) return;
  worker = new Worker(workerUrl);
  worker.addEventListener("message", (event: MessageEvent<ToPage>) => take(event.data));
  worker.addEventListener("error", () =>
    showObstacle("The checker stopped: the browser may be out of memory. Close other pages and try again."),
  );
  ask({ kind: "verify", pack, logId, date, callers });
}

function take(message: ToPage): void {
  switch (message.kind) {
    case "started":
      return checks.started(message.check);
    case "progress":
      return checks.progress(message.check, message.done, message.total);
    case "finished":
      return checks.finished(message.check, message.state);
    case "verdict":
      conclude(message.verdict);
      return byId("verdict").focus({ preventScroll: true });
    case "obstacle":
      showObstacle(message.text);
      return byId("verdict").focus({ preventScroll: true });
    case "filtered":
      return browser?.filtered(message.selection, message.count);
    case "rows":
      return browser?.received(message.selection, message.start, message.rows);
    case "receipt":
      return browser?.show(message.detail);
  }
}

/** Show a verdict: "good" only together with what the pack proves. */
function conclude(verdict: Verdict): void {
  try {
    if (verdict.proven !== null) showProven(verdict.proven);
    showVerdict(verdict);
  } catch {
    byId("proven").replaceChildren();
    showObstacle("The page could not show what is in this pack. Check it with signet verify.");
  }
}

function showProven(proven: Proven): void {
  browser = new ReceiptBrowser(proven, ask);
  const place = byId("proven");
  place.replaceChildren(decisions(proven), treeHead(proven), keyChain(proven), browser.element);
  place.hidden = false;
}

function choose(file: File | undefined): void {
  if (file === undefined) return;
  pack = file;
  void check();
}

/** An unpacked pack is a folder, which no browser reads as a file. */
function refuseFolder(): void {
  worker?.terminate();
  pack = null;
  byId("proven").hidden = true;
  byId("proven").replaceChildren();
  byId("checks-section").hidden = true;
  showFolder();
  byId("verdict").focus({ preventScroll: true });
}

const input = byId<HTMLInputElement>("pack");
input.addEventListener("change", () => choose(input.files?.[0]));
input.addEventListener("click", () => (input.value = "")); // the same file may have changed: let it be chosen anew
byId<HTMLInputElement>("callers").addEventListener("change", () => void check());
byId("choose").addEventListener("submit", (event) => {
  event.preventDefault();
  void check();
});

// A pack may be dropped anywhere: beside the field, the browser would leave the page and open it.
const drop = byId("drop");
addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("over");
});
addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) drop.classList.remove("over");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  if (event.dataTransfer?.items[0]?.webkitGetAsEntry()?.isDirectory) refuseFolder();
  else choose(event.dataTransfer?.files[0]);
});

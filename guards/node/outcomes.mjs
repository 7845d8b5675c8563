// Reports outcomes to Signet over HTTP, on the side: POST /pch/outcomes (docs/backends.md).
// A report never makes a request wait or fail. What cannot be sent is dropped and counted.
export const QUEUED = 10_000;
export const BATCH = 100;
const INTERVAL_MS = 1000;
const TIMEOUT_MS = 3000;
const LONGEST_PAUSE_MS = 30_000;
const LOCAL = ["localhost", "127.0.0.1", "[::1]"];

/** Queues outcomes and sends them in batches. `sent` and `dropped` count them. */
export class OutcomeSender {
  sent = 0;
  dropped = 0;
  #queue = [];
  #timer = null;
  #sending = null;
  #pauseMs = 0;
  #url;
  #settings;

  /** `url`: the stack's output OutcomesUrl; https, or http on this machine. Throws a TypeError for others. */
  constructor(url, settings = {}) {
    const parts = URL.canParse(url) ? new URL(url) : null;
    if (!(parts?.protocol === "https:" || (parts?.protocol === "http:" && LOCAL.includes(parts.hostname))))
      throw new TypeError("outcomesUrl is an https URL: the stack's output OutcomesUrl (http on localhost only)");
    this.#url = parts;
    this.#settings = { queued: QUEUED, intervalMs: INTERVAL_MS, ...settings };
    process.once("beforeExit", () => this.close());
  }

  /** Queues one outcome; without a ticket nothing is wanted. */
  report(ticket, latencyMs, error) {
    if (typeof ticket !== "string" || ticket === "") return;
    if (this.#queue.length >= this.#settings.queued) {
      this.#queue.shift();
      this.dropped += 1;
    }
    this.#queue.push({ ticket, latency_ms: Math.max(0, Math.round(latencyMs * 10) / 10), error });
    this.#plan();
  }

  /** Sends what waits; the promise never rejects. For the end of the process, before process.exit(). */
  async close() {
    clearTimeout(this.#timer);
    this.#timer = null;
    await this.#sending;
    await this.#flush();
  }

  #plan() {
    if (this.#timer !== null || this.#sending !== null) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        this.#sending = this.#flush().finally(() => {
          this.#sending = null;
          if (this.#queue.length) this.#plan();
        });
      },
      Math.max(this.#settings.intervalMs, this.#pauseMs),
    );
    this.#timer.unref(); // reports keep no process alive
  }

  async #flush() {
    while (this.#queue.length) {
      const batch = this.#queue.splice(0, BATCH);
      if (await this.#post(batch)) {
        this.sent += batch.length;
        this.#pauseMs = 0;
      } else {
        this.dropped += batch.length;
        this.#pauseMs = Math.min(Math.max(1000, 2 * this.#pauseMs), LONGEST_PAUSE_MS);
        return;
      }
    }
  }

  async #post(batch) {
    try {
      const answer = await fetch(this.#url, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ outcomes: batch }),
        redirect: "error", // tickets go to the place that was set, and to no other
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      await answer.body?.cancel();
      return answer.ok;
    } catch {
      return false;
    }
  }
}

/** Whether an answer counts as an error of the backend; null if it says nothing: the caller's own mistakes. */
export function isFailure(status) {
  if (status >= 500 || status === 429) return true;
  return status >= 400 ? null : false;
}

/** Starts to follow one request; the function that is returned reports it, once. */
export function watch(sender, ticket) {
  const started = performance.now();
  let told = sender === null;
  return (error) => {
    if (!told && error !== null) sender.report(ticket, performance.now() - started, error);
    told = true;
  };
}

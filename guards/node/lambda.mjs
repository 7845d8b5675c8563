// The guard for Lambda functions behind a REST API, or an HTTP API with payload 1.0 or 2.0:
//   export const handler = guarded(async (event, context) => …);
import { told } from "./answers.mjs";
import { Refused, checkBody } from "./assertion.mjs";
import { isFailure, OutcomeSender, watch } from "./outcomes.mjs";

/**
 * Wraps a handler so that it sees verified requests only, and no `Signet-` header field.
 * `outcomesUrl`: where outcomes are reported. They go out while later requests are worked on: Lambda stops an
 * environment between two of them, and what waits when it ends is lost.
 */
export function guarded(handler, settings = {}) {
  const outcomes = settings.outcomesUrl === undefined ? null : new OutcomeSender(settings.outcomesUrl);
  return async (event, context) => {
    let said = {};
    try {
      said = granted(event);
      checkBody(said.content_digest, receivedBody(event));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return telling(said, {
        statusCode: error.status,
        headers: { "Content-Type": "application/json", "Cache-Control": "no-store" },
        body: JSON.stringify({ error: error.code, message: error.message }),
      });
    }
    const report = watch(outcomes, said.breaker);
    try {
      const answer = await handler(stripped(event), context);
      report(isFailure(answer?.statusCode ?? 200));
      return telling(said, answer);
    } catch (error) {
      report(true);
      throw error;
    }
  };
}

// An answer that is no object with a statusCode stays as it is.
function telling(said, answer) {
  if (answer === null || typeof answer !== "object" || !("statusCode" in answer)) return answer;
  const [one, many] = [answer.headers ?? {}, answer.multiValueHeaders ?? {}];
  const added = told(said, [...Object.entries(one), ...Object.entries(many)]);
  const replaced = Object.keys(added).map((name) => name.toLowerCase());
  const kept = (map) =>
    Object.fromEntries(Object.entries(map).filter(([name]) => !replaced.includes(name.toLowerCase())));
  if (!replaced.length) return answer;
  const multi = answer.multiValueHeaders ? { multiValueHeaders: kept(many) } : {};
  return { ...answer, headers: { ...kept(one), ...added }, ...multi };
}

/** Returns what the authorizer said. Payload 2.0 has it one step deeper than 1.0 and REST APIs. */
export function granted(event) {
  const said = event?.requestContext?.authorizer;
  const found = event?.version === "2.0" ? said?.lambda : said;
  if (!found?.keyid || !found?.receipt_id)
    throw new Refused("not_authorized", "this function answers only behind Signet's authorizer");
  return found;
}

function receivedBody(event) {
  const body = event.body ?? "";
  if (typeof body !== "string") throw new Refused("malformed", "the body is neither text nor base64");
  const data = Buffer.from(body, event.isBase64Encoded ? "base64" : "utf8");
  // Node reads over what is no base64, and replaces half a surrogate pair.
  if (data.toString(event.isBase64Encoded ? "base64" : "utf8") !== body)
    throw new Refused("malformed", "the body is neither text nor base64");
  return data;
}

function stripped(event) {
  const kept = { ...event };
  for (const map of ["headers", "multiValueHeaders"])
    if (event[map])
      kept[map] = Object.fromEntries(Object.entries(event[map]).filter(([name]) => !/^signet[-_]/i.test(name)));
  return kept;
}

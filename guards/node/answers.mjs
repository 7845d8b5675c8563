// What every guard adds to the application's answer: the caller's next nonce, and the receipt of its request.
const FORM = /^[0-9A-Za-z_-]{1,128}$/;
// Directives under which no cache gives an answer to another caller (RFC 9111 section 5.2.2).
const KEPT_APART = ["no-store", "private"];

const members = (values) =>
  values.flatMap((value) => String(value).split(",")).map((part) => part.trim()).filter(Boolean);

/**
 * Returns the fields to set on an answer, each in the place of one that has its name. `facts`: `nonce` and
 * `receipt_id`. `lines`: of the application's answer, pairs of name and value. An answer that says nothing of
 * caches is not stored, and one that shared caches may store stays as it is.
 */
export function told(facts, lines) {
  const given = new Map();
  for (const [name, value] of lines) {
    const key = name.toLowerCase();
    given.set(key, [...(given.get(key) ?? []), ...[value].flat()]);
  }
  const added = {};
  for (const [name, value] of [["Signet-Nonce", facts.nonce], ["Signet-Receipt", facts.receipt_id]])
    if (typeof value === "string" && FORM.test(value) && !given.has(name.toLowerCase())) added[name] = value;
  const names = Object.keys(added);
  const caching = members(given.get("cache-control") ?? []);
  if (!names.length || (caching.length && !caching.some((word) => KEPT_APART.includes(word.toLowerCase()))))
    return {};
  if (!caching.length) added["Cache-Control"] = "no-store";
  if (given.has("access-control-allow-origin")) {
    const exposed = members(given.get("access-control-expose-headers") ?? []);
    added["Access-Control-Expose-Headers"] = [...exposed, ...names].join(", ");
  }
  return added;
}

/** Text of strangers, made visible. */

/** What is not seen, or moves what is around it: controls, line separators, bidi, zero width, half pairs. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** Return text with what is not seen spelled out: `\x1b`, `\u202e`. */
export function visible(text: string): string {
  return spelledOut(text, (unit) => (unit < 0x100 ? `\\x${digits(unit, 2)}` : `\\u${digits(unit, 4)}`));
}

/** Return JSON with what is not seen spelled out as JSON does, its own line ends kept: it means the same. */
export function visibleJson(json: string): string {
  const lines = json.split("\n"); // within strings JSON has none
  return lines.map((line) => spelledOut(line, (unit) => `\\u${digits(unit, 4)}`)).join("\n");
}

function spelledOut(text: string, spell: (unit: number) => string): string {
  return text.replace(UNSEEN, (character) =>
    Array.from({ length: character.length }, (_, index) => spell(character.charCodeAt(index))).join(""),
  );
}

function digits(unit: number, count: number): string {
  return unit.toString(16).padStart(count, "0");
}

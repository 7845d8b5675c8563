/** Bytes and their spellings: UTF-8, hex, base64. */

export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();
// A byte order mark is kept, so that what follows sees (and refuses) it.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export function utf8(text: string): Bytes {
  return encoder.encode(text) as Bytes;
}

/** Return the text of UTF-8 bytes. @throws TypeError if they are not UTF-8. */
export function textOf(data: Uint8Array): string {
  return decoder.decode(data);
}

export function hex(data: Uint8Array): string {
  let text = "";
  for (const byte of data) text += HEX[byte];
  return text;
}

export function encodeBase64(data: Uint8Array): string {
  let binary = "";
  for (const byte of data) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** Return the bytes of standard base64 with padding; null unless the text is their one encoding. */
export function decodeBase64(text: string): Bytes | null {
  try {
    const data = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return encodeBase64(data) === text ? data : null;
  } catch {
    return null;
  }
}

/** Return the bytes of text that a shape has found to be base64 of them. */
export function bytesOf(base64: string): Bytes {
  const data = decodeBase64(base64);
  if (data === null) throw new TypeError("the text is not base64");
  return data;
}

export function concat(...parts: readonly Uint8Array[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** Return an integer as eight bytes, big-endian. */
export function uint64(value: number): Bytes {
  const data = new Uint8Array(8);
  new DataView(data.buffer).setBigUint64(0, BigInt(value));
  return data;
}

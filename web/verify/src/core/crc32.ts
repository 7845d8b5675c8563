/** CRC-32 as zip has it (ISO 3309, polynomial 0xEDB88320 reflected), four bytes at a time. */

const TABLES = makeTables();

function makeTables(): Uint32Array[] {
  const first = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    first[byte] = value;
  }
  const tables = [first];
  for (let level = 1; level < 4; level++) {
    const below = tables[level - 1] as Uint32Array;
    tables.push(below.map((value) => (value >>> 8) ^ (first[value & 0xff] as number)));
  }
  return tables;
}

export class Crc32 {
  private state = 0xffffffff;

  update(data: Uint8Array): void {
    const [t0, t1, t2, t3] = TABLES as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const whole = data.length - (data.length % 4);
    let crc = this.state;
    let at = 0;
    for (; at < whole; at += 4) {
      crc ^= view.getUint32(at, true);
      crc =
        (t3[crc & 0xff] as number) ^
        (t2[(crc >>> 8) & 0xff] as number) ^
        (t1[(crc >>> 16) & 0xff] as number) ^
        (t0[crc >>> 24] as number);
    }
    for (; at < data.length; at++) crc = (crc >>> 8) ^ (t0[(crc ^ (data[at] as number)) & 0xff] as number);
    this.state = crc;
  }

  get value(): number {
    return (this.state ^ 0xffffffff) >>> 0;
  }
}

/** Columns that grow: what is kept of each receipt, in typed arrays, so that a million fit. */

export class Bytes32Column {
  private data = new Uint8Array(1024 * 32);
  length = 0;

  push(value: Uint8Array): void {
    if ((this.length + 1) * 32 > this.data.length) {
      const grown = new Uint8Array(this.data.length * 2);
      grown.set(this.data);
      this.data = grown;
    }
    this.data.set(value, 32 * this.length++);
  }

  at(index: number): Uint8Array<ArrayBuffer> {
    return this.data.subarray(index * 32, index * 32 + 32);
  }

  all(): Uint8Array<ArrayBuffer> {
    return this.data.subarray(0, this.length * 32);
  }
}

export class NumberColumn {
  private data = new Float64Array(1024);
  length = 0;

  push(value: number): void {
    if (this.length === this.data.length) {
      const grown = new Float64Array(this.data.length * 2);
      grown.set(this.data);
      this.data = grown;
    }
    this.data[this.length++] = value;
  }

  at(index: number): number {
    return this.data[index] as number;
  }
}

/** Strings of which there are few different ones. */
export class WordColumn {
  readonly words: (string | null)[] = [];
  private readonly numbers = new Map<string | null, number>();
  private readonly column = new NumberColumn();

  push(word: string | null): void {
    let number = this.numbers.get(word);
    if (number === undefined) {
      number = this.words.push(word) - 1;
      this.numbers.set(word, number);
    }
    this.column.push(number);
  }

  /** Return the index into `words`. */
  numberAt(index: number): number {
    return this.column.at(index);
  }
}

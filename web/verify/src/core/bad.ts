/** The verdict "no" about one thing: where it stands, why, and a code for machines. */
export class Bad extends Error {
  /**
   * @param code of the closed list in web/verify/README.md
   * @param file member of the pack, or "zip" for the file as a whole
   * @param reason what is wrong, to be read after "file:line: "
   * @param line of a `.jsonl` member, from 1
   */
  constructor(
    readonly code: string,
    readonly file: string,
    readonly reason: string,
    readonly line: number | null = null,
  ) {
    super(reason);
    this.name = "Bad";
  }
}

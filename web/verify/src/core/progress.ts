/** Called now and then with how much is done, of how much. */
export type Progress = (done: number, total: number) => void;

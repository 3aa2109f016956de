/** Told what a scenario does, while it does it. */
import type { MoveReport } from '../../agent/api/model';

export interface Teller {
  step(number: number, title: string): void;
  /** A command typed in a shell. */
  shell(command: string): void;
  /** A command typed into gdb and what it said; `who` where there is more than one gdb. */
  gdb(command: string, answer: string, who?: string): void;
  /** What gdb said in the end to a command during which the program ran. */
  answer(answer: string, who?: string): void;
  moved(report: MoveReport): void;
  /** Something that had to be so was looked at, and is. */
  saw(fact: string): void;
  /** Something takes its time. */
  waiting<T>(what: string, work: Promise<T>): Promise<T>;
}

export const silent: Teller = {
  step() {},
  shell() {},
  gdb() {},
  answer() {},
  moved() {},
  saw() {},
  waiting: (_, work) => work,
};

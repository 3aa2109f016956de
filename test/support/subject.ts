/** A C program and what there is to see in it: all that a scenario must know to debug it across moves. */
export interface Subject {
  name: string;
  /** The path of its one C file. */
  source: string;
  args: string[];
  /**
   * A function, the place where a breakpoint on it stops first, and what is seen there. Places are the text of a line
   * that no other line has.
   */
  first: { function: string; at: string; values: Values; nexts: [string, string, string, string] };
  /** A place and the condition to stop there, soon after `first`. */
  soon: ConditionalStop;
  /** The same some seconds further on: long enough to move in between. */
  later: ConditionalStop;
  /** A line that runs for seconds, and the one that `next` comes to from there. */
  long: { at: string; condition?: string; next: string };
  /** A global that next changes some seconds after `long`. */
  watch: { expression: string; from: string; to: string };
  /** A process that the program forks, and what it comes to again and again. */
  child?: { pid: string; at: string; nexts: [string, string] };
}

export type Values = Record<string, string>;

export interface ConditionalStop {
  at: string;
  condition: string;
  values: Values;
}

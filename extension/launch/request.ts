/** What is to be launched, asked step by step, and remembered for the next time. */
import { homedir } from 'node:os';
import { dirname } from 'node:path';
import { type Memento, workspace } from 'vscode';
import { z } from 'zod';
import { commandLine } from '../../agent/api/figures';
import type { Cluster } from '../cluster/cluster';
import { askForNode } from '../prompts/places';
import { askForText, type Dismissed, inSteps, type Step } from '../prompts/steps';
import { askForProgram, fullPath } from './programs';
import { splitWords, Unbalanced } from './words';

/** Programs offered again. */
const RECENT_KEPT = 5;
const MEMORY = 'godwit.launches';

/** As tests and key bindings give it; what is missing is asked for, unless there is a program. */
export const Launch = z.object({
  program: z.string().min(1),
  args: z.array(z.string()).default([]),
  cwd: z.string().optional(),
  node: z.string().min(1).default('best'),
  name: z.string().max(200).optional(),
});
export type Launch = z.infer<typeof Launch>;

const Remembered = z.array(Launch);

export class Launches {
  constructor(
    private readonly memory: Memento,
    private readonly cluster: Cluster,
  ) {}

  /** @throws GodwitError `no-agent` */
  ask(title: string, options: { scripts: boolean; node?: string | undefined }): Promise<Launch | Dismissed> {
    const { scripts, node } = options;
    const known = this.#remembered();
    const program: Step<Launch> = async (launch, position) => {
      const recent = known.map((one) => one.program);
      const answer = await askForProgram({ ...position, recent, scripts });
      if (typeof answer !== 'string') return answer;
      const before = known.find((one) => one.program === answer);
      return { ...launch, ...before, ...(node ? { node } : {}), program: answer };
    };
    const args: Step<Launch> = async (launch, position) => {
      const answer = await askForText({
        ...position,
        prompt: 'Its arguments, as in a shell: quotes keep words together, nothing is expanded',
        placeholder: 'none',
        value: commandLine(launch.args),
        wrong: wrongWords,
      });
      return typeof answer === 'string' ? { ...launch, args: splitWords(answer) } : answer;
    };
    const place: Step<Launch> = async (launch, position) => {
      const answer = await askForNode(this.cluster, {
        ...position,
        placeholder: 'The node on which it starts',
        active: launch.node,
      });
      return typeof answer === 'string' ? { ...launch, node: answer } : answer;
    };
    const steps = node ? [program, args] : [program, args, place];
    return inSteps<Launch>(title, steps, { program: '', args: [], node: node ?? 'best' });
  }

  async remember(launch: Launch): Promise<void> {
    const others = this.#remembered().filter(({ program }) => program !== launch.program);
    await this.memory.update(MEMORY, [launch, ...others].slice(0, RECENT_KEPT));
  }

  #remembered(): Launch[] {
    // Another version may have left something else.
    return Remembered.safeParse(this.memory.get(MEMORY)).data ?? [];
  }
}

function wrongWords(text: string): string | undefined {
  try {
    splitWords(text);
    return undefined;
  } catch (error) {
    if (error instanceof Unbalanced) return error.message;
    throw error;
  }
}

/** The program's path and the folder it runs in, made whole. */
export function complete(launch: Launch): Launch & { cwd: string } {
  const program = launch.program.includes('/') ? fullPath(launch.program) : launch.program;
  const folder = workspace.workspaceFolders?.[0]?.uri.fsPath;
  const cwd = launch.cwd === undefined ? (folder ?? folderOf(program)) : fullPath(launch.cwd);
  return { ...launch, program, cwd };
}

const folderOf = (program: string): string => (program.includes('/') ? dirname(program) : homedir());

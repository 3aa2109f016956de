/** The `godwit` command that comes with the extension: what needs no agent, it does. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { z } from 'zod';
import { GodwitError } from '../../agent/api/errors';
import { parseJson, parseWith } from '../../agent/api/schema';
import type { Log } from '../window';

/** Far more than any of its answers; what prints more is not the command. */
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;

export class GodwitCommand {
  constructor(
    private readonly program: string,
    private readonly log: Log,
  ) {}

  static beside(extension: string, log: Log): GodwitCommand {
    return new GodwitCommand(join(extension, 'dist', 'godwit.cjs'), log);
  }

  /** For a terminal: how a person would run it. */
  argv(args: readonly string[]): string[] {
    const electron = process.versions.electron ? ['env', 'ELECTRON_RUN_AS_NODE=1'] : [];
    return [...electron, process.execPath, this.program, ...args];
  }

  /**
   * Its answer. With `evenIfFailed` an answer counts with any exit status.
   * @throws GodwitError with `code` and what it said
   */
  async ask<S extends z.ZodType>(
    schema: S,
    args: readonly string[],
    { code, evenIfFailed = false }: { code: string; evenIfFailed?: boolean },
  ): Promise<z.output<S>> {
    const what = `godwit ${args.join(' ')}`;
    this.log.info(what);
    const { status, stdout, stderr } = await this.#run([...args, '--json']);
    if (stderr) this.log.info(stderr);
    if (status !== 0 && !(evenIfFailed && stdout.trim())) {
      const said = stderr
        .split('\n')
        .at(-1)!
        .replace(/^godwit: /, '');
      throw new GodwitError({ code, message: said || `\`${what}\` ended with status ${status}` });
    }
    return parseWith(schema, parseJson(`the answer of \`${what}\``, stdout), `the answer of \`${what}\``);
  }

  #run(args: readonly string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [this.program, ...args], {
        env: { ...process.env, ELECTRON_RUN_AS_NODE: '1' },
        cwd: '/',
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const said = { stdout: '', stderr: '' };
      for (const name of ['stdout', 'stderr'] as const) {
        child[name].setEncoding('utf8').on('data', (text: string) => {
          said[name] += text;
          if (said[name].length > MAX_OUTPUT_BYTES) child.kill();
        });
      }
      child.once('error', (error) => reject(cannotRun(this.program, error.message)));
      child.once('close', (status) => resolve({ status, stdout: said.stdout, stderr: said.stderr.trim() }));
    });
  }
}

const cannotRun = (program: string, why: string) =>
  new GodwitError({ code: 'command-failed', message: `${program} can't be run: ${why}` });

/** A lab for one file of tests, with a folder; the jobs of a test end with it. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { labFolder, nodePaths } from '../../agent/lab/description';
import { Godwit, type LabOptions, type RunOptions } from './godwit';
import { says } from './rounds';

export class LabOfJobs {
  godwit!: Godwit;
  folder = '';
  readonly #jobs: string[] = [];
  readonly name: string;

  /** Comes up before the first test of the file, and goes after the last. */
  constructor(purpose: string, options: LabOptions = {}) {
    this.name = `${purpose}-${process.pid}`;
    beforeAll(async () => {
      this.folder = realpathSync(mkdtempSync(join(tmpdir(), `godwit-${purpose}-`)));
      this.godwit = await Godwit.labUp(this.name, { ...options, temp: this.folder });
    });
    afterEach(async () => {
      for (const job of this.#jobs.splice(0)) await this.godwit.kill(job).catch(() => {});
    });
    afterAll(async () => {
      await Godwit.labDown(this.name);
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  /** The socket of its first node's agent. */
  get agent(): string {
    return nodePaths(this.name, 'node1').agent.socket;
  }

  consoleOf(job: string): string {
    return join(labFolder(this.name), 'node1', 'jobs', job, 'console');
  }

  /** A job in the folder that has printed `ready`. */
  async launched(argv: string[], options: RunOptions = {}): Promise<string> {
    const { id } = await this.godwit.run(argv, { cwd: this.folder, ...options });
    this.#jobs.push(id);
    await says(this.consoleOf(id), 'ready');
    return id;
  }
}

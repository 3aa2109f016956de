/** A VS Code server on this machine alone: workbench, extension host, file system; no marketplace, no telemetry. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../support/processes';
import { findServer } from './installation';
import type { TestFolder } from './test-folder';

/** It is up in half a second; on a machine that does much else it takes its time. */
const START_MS = 60_000;
const INSTALL_MS = 120_000;
/** What it says is kept for a report of what went wrong, the last of it. */
const MAX_LOG = 64 * 1024;

export interface ServerOptions {
  /** The user's settings, on top of those that keep VS Code quiet. */
  settings?: Record<string, unknown>;
  /** For its extension hosts, and all that they start. */
  env?: Record<string, string>;
  /** The .vsix files to install first. */
  extensions?: string[];
  /** As whom it runs, with all that is in its test folder: root if absent. */
  user?: { uid: number; gid: number };
  /** Further arguments of the server. */
  args?: string[];
}

/** Nothing pops up that was not asked for. */
const QUIET = {
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
  'workbench.welcomePage.walkthroughs.openOnInstall': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.enableExperiments': false,
  'chat.disableAIFeatures': true,
  'chat.commandCenter.enabled': false,
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'update.showReleaseNotes': false,
  'extensions.ignoreRecommendations': true,
  'extensions.autoCheckUpdates': false,
  'git.enabled': false,
  'security.workspace.trust.enabled': false,
  'debug.openDebug': 'openOnSessionStart',
  'files.autoSave': 'off',
};

export class VscodeServer {
  readonly #token = randomBytes(16).toString('hex');
  readonly #data: string;
  readonly #program = findServer();
  #process: ChildProcess | undefined;
  #log = '';
  #port = 0;

  private constructor(
    private readonly testFolder: TestFolder,
    private readonly options: ServerOptions,
  ) {
    this.#data = testFolder.make('vscode');
  }

  static async start(testFolder: TestFolder, options: ServerOptions = {}): Promise<VscodeServer> {
    const server = new VscodeServer(testFolder, options);
    const user = testFolder.make('vscode', 'data', 'User');
    const settings = { ...QUIET, ...options.settings };
    writeFileSync(join(user, 'settings.json'), JSON.stringify(settings, undefined, 2));
    for (const file of options.extensions ?? []) await server.#install(file);
    await server.#start();
    return server;
  }

  /** Where a browser finds a folder opened; it holds the token that this server asks for. */
  url(folder?: string, more: Record<string, string> = {}): string {
    const url = new URL(`http://127.0.0.1:${this.#port}/`);
    url.searchParams.set('tkn', this.#token);
    if (folder) url.searchParams.set('folder', folder);
    else url.searchParams.set('ew', 'true');
    for (const [name, value] of Object.entries(more)) url.searchParams.set(name, value);
    return url.href;
  }

  /** A file of this machine as this server's workbench names it. */
  remote(path: string): string {
    return `vscode-remote://127.0.0.1:${this.#port}${path}`;
  }

  get pid(): number {
    return this.#process!.pid!;
  }

  /** Settles when it has ended. */
  get ended(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#process!.exitCode !== null) resolve();
      else this.#process!.once('exit', () => resolve());
    });
  }

  /** What it said, the last of it. */
  get log(): string {
    return this.#log;
  }

  #arguments(...more: string[]): string[] {
    const extensions = this.testFolder.make('vscode', 'extensions');
    return [this.#program.main, '--server-data-dir', this.#data, '--extensions-dir', extensions, ...more];
  }

  #environment(): Record<string, string> {
    return this.testFolder.environment({
      // There is no marketplace to ask.
      EXTENSIONS_GALLERY: '{"serviceUrl":""}',
      ...this.options.env,
    });
  }

  async #install(file: string): Promise<void> {
    const argv = [this.#program.node, ...this.#arguments('--install-extension', file)];
    const { status, stdout, stderr } = await run(argv, { env: this.#environment(), limitMs: INSTALL_MS });
    if (status !== 0) throw new Error(`VS Code could not install ${file}: ${stderr || stdout}`);
  }

  /** The user may have no way to the project's own Node.js: theirs is a copy. */
  #handOver({ uid, gid }: { uid: number; gid: number }): string {
    const node = join(this.testFolder.folder, 'node');
    copyFileSync(this.#program.node, node);
    execFileSync('chown', ['-R', `${uid}:${gid}`, this.testFolder.folder]);
    return node;
  }

  async #start(): Promise<void> {
    // Not among its arguments, which every user of this machine can read.
    const token = join(this.testFolder.folder, 'token');
    writeFileSync(token, this.#token, { mode: 0o600 });
    const { user } = this.options;
    const child = spawn(
      user ? this.#handOver(user) : this.#program.node,
      this.#arguments(
        ...['--host', '127.0.0.1', '--port', '0', '--connection-token-file', token],
        ...['--accept-server-license-terms', '--telemetry-level', 'off', '--disable-workspace-trust'],
        ...(this.options.args ?? []),
      ),
      { stdio: ['ignore', 'pipe', 'pipe'], detached: true, env: this.#environment(), ...user },
    );
    this.#process = child;
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`the VS Code server ${why}; it said: ${this.#log}`));
      const timer = setTimeout(() => fail(`was not up within ${START_MS} ms`), START_MS);
      child.once('error', reject);
      child.once('exit', (code) => fail(`ended with ${code}`));
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text: string) => {
          this.#log = `${this.#log}${text}`.slice(-MAX_LOG);
          this.#port ||= Number(/Extension host agent listening on (\d+)/.exec(this.#log)?.[1] ?? 0);
          if (this.#port) resolve(clearTimeout(timer));
        });
    });
  }
}

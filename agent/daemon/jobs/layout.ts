/** Where a node keeps what, below its state folder. */
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';

export class Layout {
  constructor(readonly state: string) {}

  get journal() {
    return join(this.state, 'journal.db');
  }
  /** What people have decided of this node. */
  get rules() {
    return join(this.state, 'rules.json');
  }
  /** At home: what belongs to a job. */
  job(job: string) {
    return join(this.state, 'jobs', job);
  }
  console(job: string) {
    return join(this.job(job), 'console');
  }
  /** Where the part of the console begins that is kept. */
  consoleCut(job: string) {
    return join(this.job(job), 'console.cut');
  }
  /** Written by the job's own PID 1 at its end, wherever it runs. */
  status(job: string) {
    return join(this.job(job), 'status');
  }
  /** At a host: what its supervisor reports about the copy of `epoch`. */
  report(job: string, epoch: number) {
    return join(this.reports, `${job}.${epoch}`);
  }
  get reports() {
    return join(this.state, 'reports');
  }
  /** Where what comes out of jobs' doors is taken. */
  get door() {
    return join(this.state, 'door');
  }
  imagesOf(job: string, epoch: number) {
    return join(this.images, `${job}.${epoch}`);
  }
  get images() {
    return join(this.state, 'images');
  }
  get roots() {
    return join(this.state, 'roots');
  }
  root(job: string, epoch: number) {
    return join(this.roots, `${job}.${epoch}`);
  }
  /** Sockets of the servers of this node's files, and of the mounts of other homes'. */
  get served() {
    return join(this.state, 'served');
  }
  get mounted() {
    return join(this.state, 'mounted');
  }

  /** The network namespace of a copy that has an address of its own. */
  network(job: string, epoch: number) {
    return join(this.state, 'networks', `${job}.${epoch}`);
  }

  /**
   * Makes what there has to be, with the rights that it has to have: an older version may have given others. The
   * processes of a job reach nothing of these from outside: its root is handed to them, its images and reports are
   * root's. By way of `jobs` they reach the console of their own job, whose name is not for others to read.
   */
  make() {
    const closed = [
      this.reports,
      this.images,
      this.roots,
      this.served,
      this.mounted,
      dirname(this.network('', 0)),
    ];
    mkdirSync(this.state, { recursive: true, mode: 0o755 });
    for (const folder of closed) makeFolder(folder, 0o700);
    makeFolder(join(this.state, 'jobs'), 0o711);
  }

  /**
   * The helper under a name made of its content. It is mapped into every job as PID 1, and CRIU restores a job only
   * onto the very file it was dumped with: so a new version gets a new name and the old one stays.
   */
  installHelper(built: string): string {
    const hash = createHash('sha256').update(readFileSync(built)).digest('hex').slice(0, 16);
    const path = join(this.state, `helper-${hash}`);
    if (!existsSync(path)) {
      copyFileSync(built, `${path}.new`);
      chmodSync(`${path}.new`, 0o755);
      renameSync(`${path}.new`, path);
    }
    return path;
  }
}

function makeFolder(path: string, mode: number): void {
  mkdirSync(path, { recursive: true, mode });
  chmodSync(path, mode);
}

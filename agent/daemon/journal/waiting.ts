/** Jobs that have not begun, in the journal: their order, and what they are to be launched with. */
import { GodwitError, noSuchJob } from '../../api/errors';
import { type JobId, JobSpec } from '../../api/model';
import { utf8Length } from '../../api/text';
import type { JournalFile } from './file';
import type { HomedJob, QueueBounds, QueuedJob } from './journal';
import { json } from './rows';

/** Each of its methods is a part of a transaction. */
export class Waiting {
  constructor(private readonly file: JournalFile) {}

  /** @throws `too-many-queued` */
  admit(request: JobSpec, more: number, { jobs, bytes }: QueueBounds): void {
    const { uid } = request.user;
    const counted = this.file.one(
      'SELECT count(*) AS n FROM queue JOIN requests ON requests.id = queue.request WHERE uid = ?',
      uid,
    );
    const stored = this.file.one('SELECT sum(octet_length(request)) AS n FROM requests WHERE uid = ?', uid);
    if (Number(counted?.n) + more > jobs) throw tooMany(`${jobs} jobs may wait`, 'perUser.queued');
    if (Number(stored?.n ?? 0) + utf8Length(JSON.stringify(request)) > bytes)
      throw tooMany(`environments and arguments of ${bytes} bytes may wait`, 'perUser.queuedBytes');
  }

  add(jobs: readonly HomedJob[], request: JobSpec, since: string): void {
    const row = this.file.one(
      'INSERT INTO requests (uid, request) VALUES (?, ?) RETURNING id',
      request.user.uid,
      JSON.stringify(request),
    );
    const insert = 'INSERT INTO queue (job, request, since) VALUES (?, ?, ?)';
    for (const { id } of jobs) this.file.run(insert, id, Number(row?.id), since);
  }

  list(read: (job: JobId) => HomedJob): QueuedJob[] {
    const all = `SELECT job, since, beginning, requests.request ->> '$.node' AS wanted
      FROM queue JOIN requests ON requests.id = queue.request ORDER BY place`;
    return this.file.all(all).map(({ job, since, beginning, wanted }) => ({
      job: read(String(job)),
      since: String(since),
      wanted: String(wanted),
      beginning: beginning === 1,
    }));
  }

  /** @throws `no-such-job` */
  request(job: JobId): JobSpec {
    const some =
      'SELECT requests.request FROM queue JOIN requests ON requests.id = queue.request WHERE job = ?';
    const row = this.file.one(some, job);
    if (!row) throw noSuchJob(job);
    return JobSpec.parse(json(row.request));
  }

  begins(job: JobId, now: boolean): void {
    this.file.run('UPDATE queue SET beginning = ? WHERE job = ?', now ? 1 : 0, job);
  }

  /** What it was to be launched with goes with the last that needs it. @returns was it there? */
  remove(job: JobId): boolean {
    const row = this.file.one('DELETE FROM queue WHERE job = ? RETURNING request', job);
    if (!row) return false;
    const unused =
      'DELETE FROM requests WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM queue WHERE request = ?1)';
    this.file.run(unused, Number(row.request));
    return true;
  }
}

const tooMany = (what: string, key: string) =>
  new GodwitError({
    code: 'too-many-queued',
    message: `no more is queued: of one user ${what}`,
    fix: `wait for some to begin, or have \`${key}\` raised in the configuration of this node`,
  });

import type { Journal } from './journal';

/**
 * A journal that tells when it has been written. All that happens to a job, as its home or as its host sees it, is
 * written down before it is spoken of, so this is where changes are noticed.
 */
/** @param changed gets the job that was written about, where it was one's home's page */
export function watched(journal: Journal, changed: (job?: string) => void): Journal {
  const telling =
    <Args extends unknown[], Result>(write: (...args: Args) => Promise<Result>) =>
    async (...args: Args): Promise<Result> => {
      const result = await write.apply(journal, args);
      changed(typeof args[0] === 'string' ? args[0] : undefined);
      return result;
    };
  return {
    launch: telling(journal.launch),
    adopt: telling(journal.adopt),
    launchArray: telling(journal.launchArray),
    arraySettled: (array) => journal.arraySettled(array),
    unsettledArrays: () => journal.unsettledArrays(),
    enqueue: telling(journal.enqueue),
    queue: () => journal.queue(),
    request: (job) => journal.request(job),
    beginning: telling(journal.beginning),
    unbegun: telling(journal.unbegun),
    endedQueued: telling(journal.endedQueued),
    running: telling(journal.running),
    unlaunched: telling(journal.unlaunched),
    enter: telling(journal.enter),
    report: telling(journal.report),
    ended: telling(journal.ended),
    lost: telling(journal.lost),
    rule: telling(journal.rule),
    putNote: telling(journal.putNote),
    clearNote: telling(journal.clearNote),
    launchedBy: (uid, token) => journal.launchedBy(uid, token),
    job: (job) => journal.job(job),
    forget: telling(journal.forget),
    command: (job) => journal.command(job),
    jobs: (options) => journal.jobs(options),
    find: (reference, limit) => journal.find(reference, limit),
    findArrays: (reference, limit) => journal.findArrays(reference, limit),
    latestEnded: (limit) => journal.latestEnded(limit),
    forgettable: (uid) => journal.forgettable(uid),
    users: () => journal.users(),
    outcome: (job, epoch) => journal.outcome(job, epoch),
    history: (options) => journal.history(options),
    notes: () => journal.notes(),
    close: () => journal.close(),
  };
}

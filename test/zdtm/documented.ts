/**
 * Tests that ask for more than a move keeps: what they find changed is what `docs/notice.md` says. Any other complaint of
 * theirs is wrong as it is with all.
 */
interface Documented {
  /** What the test complains of. */
  finds: RegExp;
  /** Words of the page. */
  notice: string;
}

const EVENTS: Documented = { finds: /FAIL.*Events are lost/, notice: 'come as one IN_Q_OVERFLOW' };

export const DOCUMENTED: Readonly<Record<string, Documented>> = {
  inotify_system: EVENTS,
  inotify_system_nodel: EVENTS,
  poll: { finds: /FAIL.*Delta is too big/, notice: 'Time passes while it is frozen' },
  sock_peercred: {
    finds: /FAIL.*Wrong pid, uid or gid/,
    notice: 'Whom a Unix socket names as its other end',
  },
};

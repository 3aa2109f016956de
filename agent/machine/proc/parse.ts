/** The texts of /proc: stat, status, fdinfo, mountinfo, cpuinfo, read in one place (man 5 proc). Pure. */

/** A stat line. The name may itself contain spaces and parentheses. */
export function parseStat(stat: string) {
  const open = stat.indexOf('(');
  const close = stat.lastIndexOf(')');
  // From the third of the manual's fields on.
  const fields = stat.slice(close + 2).split(' ');
  return {
    comm: stat.slice(open + 1, close),
    state: fields[0] ?? '?',
    parent: Number(fields[1]),
    /** User and system time, in ticks. */
    ticks: Number(fields[11]) + Number(fields[12]),
    /** When it began, in ticks since the boot; digits, to be compared. */
    started: fields[19] ?? '',
  };
}

/** The processes among the names of /proc, as they are spelled there. */
export const pidsAmong = (names: string[]): string[] => names.filter((name) => /^\d+$/.test(name));

/** What the processor can do, in the kernel's words; on arm64 the line is called otherwise. */
export const parseCpuFlags = (cpuinfo: string): string[] =>
  (/^(?:flags|Features)[ \t]*:[ \t]*(.*)$/m.exec(cpuinfo)?.[1] ?? '').split(' ').filter(Boolean);

/** A line of a status or an fdinfo file without its name; the first of several. */
export const statusField = (status: string, name: string): string | undefined =>
  new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1]?.trim();

/** Its numbers: ids of namespaces from the outermost to the innermost, users, groups. */
export const statusNumbers = (status: string, name: string): number[] =>
  (statusField(status, name) ?? '').split(/\s+/).filter(Boolean).map(Number);

/** A size, which the file gives in kB, in bytes; 0 where it is missing. */
export const statusBytes = (status: string, name: string): number =>
  1024 * (statusNumbers(status, name)[0] ?? 0);

/** A mask of signals or capabilities; 0 where it is missing. */
export const statusMask = (status: string, name: string): bigint =>
  BigInt(`0x${/^[0-9a-f]+$/i.exec(statusField(status, name) ?? '')?.[0] ?? '0'}`);

/** One line of a mountinfo file (man 5 proc_pid_mountinfo). */
export interface Mount {
  id: string;
  /** The mount on which it is mounted. */
  parent: string;
  at: string;
  /** `major:minor` of its file system. */
  device: string;
  /** The folder (or file) of the file system that is mounted. */
  root: string;
  /** Of this mount; its file system may have others. */
  writable: boolean;
  type: string;
  /** Of which device or server, as its file system names it. */
  source: string;
  /** Of its file system. */
  options: string[];
}

export function parseMounts(mountinfo: string): Mount[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [mount = '', system = ''] = line.split(' - ');
    const [id = '', parent = '', device, root, at, own = ''] = mount.split(' ');
    const [type = '', source = '', options = ''] = system.split(' ');
    if (!device || !root || !at) return [];
    return [
      {
        ...{ id, parent, at: unescaped(at), device, root: unescaped(root) },
        ...{ writable: own.split(',').includes('rw'), type },
        ...{ source: unescaped(source), options: options.split(',') },
      },
    ];
  });
}

/** Space, tab, newline and backslash are written as octal numbers. */
const unescaped = (path: string) =>
  path.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));

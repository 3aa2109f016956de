/** From CRIU's logs to a sentence: why a dump or a restore failed, and what can be done. */
import { readFile } from 'node:fs/promises';
import { GodwitError } from '../../api/errors';

/** Lines that are in every log, or come from cleaning up; never the reason. */
const HARMLESS = [
  /RLIMIT_NOFILE/,
  /TCP_CORK/,
  /cgroupd: recv req error/,
  /Can't remove the directory .*criu\.mntns/,
  /Couldn't unlink remap/,
];

/** CRIU's lines when it gives up, once per level. */
const CONSEQUENCE = [
  /^(Dumping|Pre-dumping|Restoring) FAILED/,
  /^Dump (files|mappings|memory|core|creds|task).* failed with -?\d+/,
  /^Can't (dump|restore) task/,
  /^Killed by signal/,
  /exited, (status|signal)=/,
  /^One of more action scripts failed/,
  /^Unable to (wait|kill)/,
  /^Failed to (dump|restore) task/,
  /^Unable to open fd=/,
  /^\s*\d+: Error/,
];

interface Known {
  pattern: RegExp;
  code: string;
  /** In place of CRIU's text; $1 and so on are the pattern's groups. */
  message: string;
  fix: string;
}

const KNOWN: Known[] = [
  {
    pattern: /anon_inode:\[io_uring\]|send_fds failed \(-22\)/,
    code: 'io-uring',
    message: 'the job uses io_uring, which CRIU can not save',
    fix: 'run it without --allow-io-uring',
  },
  {
    pattern: /External socket is used|Can't dump half of stream unix connection|unix: .*external/i,
    code: 'external-socket',
    message: 'the job is connected to a process outside it over a Unix socket',
    fix: 'close that connection, or run both ends in one job',
  },
  {
    pattern: /Connected TCP socket|--tcp-established/,
    code: 'tcp-connection',
    message: 'the job has an open TCP connection',
    fix: 'close the connection before the move',
  },
  {
    // SO_PASSCRED and SO_PASSSEC: kernels from 6.16 on have them for Unix sockets only.
    pattern: /sockets: Can't get 1:(16|34) opt/,
    code: 'network-socket',
    message: 'the job has a network socket open, which this CRIU can not save on this kernel',
    fix: 'install CRIU 4.2 or newer, or close the socket before the move',
  },
  {
    pattern: /In-flight connection/,
    code: 'connection-pending',
    message: 'the job has not accepted a TCP connection yet that was made to it',
    fix: 'try again when it has',
  },
  {
    // IPPROTO_MPTCP
    pattern: /Unsupported proto 262/,
    code: 'network-socket',
    message: 'the job has a socket of Multipath TCP, which CRIU can not save',
    fix: 'run it without: Go programs with --env GODEBUG=multipathtcp=0',
  },
  {
    pattern: /tun: Net namespace is required/,
    code: 'device-open',
    message: 'the job has a network tunnel (/dev/net/tun) open',
    fix: 'close it before the move',
  },
  {
    pattern: /Can't dump file (\d+) of that type \[\d+\] \((.*)\)/,
    code: 'device-open',
    message: 'the job holds open, as descriptor $1, what CRIU can not save: $2',
    fix: 'close it before the move',
  },
  {
    pattern: /Can't dump ghost file (.*?) of \d+ size/,
    code: 'deleted-file',
    message: 'the job has a large deleted file open: $1',
    fix: 'keep the file while the job uses it',
  },
  {
    pattern: /Can't create link remap for (.*?)\. Use link-remap option/,
    code: 'deleted-file',
    message: 'the job has a file open that was deleted under that name: $1',
    fix: 'keep the file while the job uses it',
  },
  {
    pattern: /Can't lookup mount=\d+ for fd=(-?\d+) path=(.*)/,
    code: 'outside-file',
    message: 'the job holds a file open that was opened outside it: $2',
    fix: 'open it inside the job',
  },
  {
    pattern: /file locks are hold/i,
    code: 'file-lock',
    message: 'the job holds a lock on a file',
    fix: 'release the lock before the move',
  },
  {
    pattern: /Can not set (?:posix lock|flock)!/,
    code: 'lock-taken',
    message: 'another process has locked a file that the job has locked',
    fix: 'move it when the other has let go of the file',
  },
  {
    // What a user's job holds is opened, and made again, as that user (as-user.c).
    pattern:
      /Can't open (?:file|fake fifo \S+) \[?(.*?)\]?(?: on restore)?: (?:Permission denied|Operation not)/,
    code: 'file-denied',
    message: "the job's user may not open /$1, as the job has it open",
    fix: 'see whose it is, and the folders that it is in',
  },
  {
    pattern: /Can't bind id \S+ ino \d+ addr (.*): /,
    code: 'file-denied',
    message: "the job's user can't make its socket $1 again",
    fix: 'see whose the folder is that it was in, and what is there now',
  },
  {
    pattern: /Can't (?:create|make) .*ghost.*: (?:Permission denied|Operation not)/,
    code: 'file-denied',
    message: "the job has a deleted file open, in a folder in which its user can't make it again",
    fix: 'see whose that folder is',
  },
  {
    pattern: /File (.*?) has bad (size|mode|inode)/,
    code: 'file-changed',
    message: 'the file $1, which the job has open, changed since the job was frozen',
    fix: 'keep others from changing it while the job moves',
  },
  {
    pattern: /Can't open file (.*?)(?: on restore)?: No such file/,
    code: 'missing-file',
    message: 'the destination lacks a file that the job has open: $1',
    fix: 'make it there at the same path',
  },
  {
    pattern: /build-id|Build-ID/,
    code: 'file-changed',
    message: 'a program or library that the job has mapped is another one there',
    fix: 'have the same files at the same paths on both nodes',
  },
  {
    pattern: /FPU .*host cpu|CPU capabilities do not match|xsave/,
    code: 'cpu',
    message: "the destination's CPU lacks features that the job uses",
    fix: 'move it to a node with the same or a newer CPU',
  },
  {
    pattern: /Can't bind inet socket|inet: .*Address already in use/,
    code: 'port-taken',
    message: 'a port that the job listens on is taken at the destination',
    fix: 'free that port there',
  },
  {
    pattern: /zombie \d+ .*found while seizing/,
    code: 'traced',
    message: 'a process of the job is traced by another one (strace or a debugger)',
    fix: 'end that one first; `godwit gdb` debugs across moves',
  },
  {
    pattern: /nested (pid|user) namespace/i,
    code: 'nested-namespace',
    message: 'the job has made $1 namespaces of its own, which CRIU can not save',
    fix: 'run the job without a sandbox of its own',
  },
  {
    pattern: /No space left on device/,
    code: 'disk-full',
    message: "there is no room for the job's image",
    fix: "free space in the node's state folder",
  },
  {
    pattern: /Cannot allocate memory/,
    code: 'no-memory',
    message: 'there is not enough memory for the job',
    fix: 'move it to a node with more free memory',
  },
];

const ERROR_LINE = /^(?:\([\d.]+\)\s*)?(?:pie: )?(?:\d+:\s*)?Error \([^)]*\):\s*(.*)$/;

/** The errors of a log, without their times and places in CRIU's source, oldest first. */
function errors(log: string): string[] {
  return log.split('\n').flatMap((line) => {
    const text = ERROR_LINE.exec(line.trim())?.[1]?.trim();
    return text ? [text] : [];
  });
}

/** The last line that is a reason rather than a consequence; null when the log has no errors of weight. */
export function tellingLine(log: string): string | null {
  const matters = errors(log).filter((line) => !HARMLESS.some((harmless) => harmless.test(line)));
  const reasons = matters.filter((line) => !CONSEQUENCE.some((consequence) => consequence.test(line)));
  return reasons.at(-1) ?? matters.at(-1) ?? null;
}

/** A failed `action` ("dump", "restore") as an error for people, with the reason from its log. */
export function explain(action: string, log: string): GodwitError {
  const lines = errors(log);
  for (const { pattern, code, message, fix } of KNOWN) {
    const line = lines.find((text) => pattern.test(text));
    const groups = line && pattern.exec(line);
    if (groups)
      return new GodwitError({ code, message: message.replace(/\$(\d)/g, (_, n) => groups[n] ?? ''), fix });
  }
  const line = tellingLine(log);
  const reason = line ? `CRIU says "${line}"` : 'CRIU ended without saying why';
  return new GodwitError({ code: `${action}-failed`, message: `the ${action} failed: ${reason}` });
}

/** The same from the log's file; a missing log is a failure without a reason. */
export async function explainFile(action: string, path: string): Promise<GodwitError> {
  return explain(action, await readFile(path, 'utf8').catch(() => ''));
}

/**
 * Who has a node of the cluster writes the images that it sends as they like. Here they are changed where they lie at the
 * destination, before CRIU reads them: what a user's job gets by it must be no more than the user has.
 */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FILE_BYTES, Holder } from './holder';
import { edit, type Message } from './images';
import { Stage } from './stage';

/** criu/images/core.proto: core_entry.thread_core, thread_core_entry.creds; for the main thread `tc` has none. */
const THREAD_CORE = 5;
const CREDS = 10;
/** creds.proto */
const IDS = { uid: 1, gid: 2, euid: 3, egid: 4, suid: 5, sgid: 6, fsuid: 7, fsgid: 8 } as const;
const CAP_PERMITTED = 10;
const CAP_EFFECTIVE = 11;
const GROUPS = 14;
const NO_NEW_PRIVS = 18;
/** core.proto: thread_core_entry */
const SECCOMP_MODE = 11;
const [SCHED_POLICY, SCHED_PRIORITY] = [4, 5];
const SCHED_FIFO = 1;
/** fdinfo.proto: file_entry; regfile.proto, sk-inet.proto */
const REGULAR = 3;
const INET = 4;
const [NAME, SIZE, MODE] = [6, 8, 10];
const [TYPE, PROTOCOL] = [4, 5];
/** mnt.proto */
const [FLAGS, MOUNT_POINT] = [5, 7];
const SOCK_RAW = 3;
const IPPROTO_ICMP = 1;

let stage: Stage;
let holder: Holder;

beforeAll(async () => {
  stage = await Stage.up('doctored');
  holder = await Holder.in(stage);
  writeFileSync(join(stage.folder, 'secret'), Buffer.alloc(FILE_BYTES, 's'), { mode: 0o600 });
});
afterAll(async () => {
  await stage?.down();
  holder?.clear();
});

/** The job comes home, and `doctor` has its images first: what the move says. */
async function doctored(doctor: (images: string) => void): Promise<string> {
  const folder = join(stage.paths('node1').state, 'images');
  const said = await holder.comesHome(() => {
    doctor(join(folder, readdirSync(folder).find((name) => name.startsWith(`${holder.job}.`))!));
  });
  return said ?? 'it has moved';
}

const credsOf = (core: Message) => core.message(THREAD_CORE).message(CREDS);
const cores = (images: string) => readdirSync(images).filter((name) => /^core-\d+\.img$/.test(name));
/** Changes what each process has been. */
const people = (change: (core: Message) => void) => (images: string) => {
  for (const name of cores(images)) edit(join(images, name), change);
};
/** Changes the open files; of those that are regular, the one at Ann's `file`. */
const files = (change: (file: Message) => void) => (images: string) =>
  edit(join(images, 'files.img'), (entry) => {
    if (entry.has(REGULAR) && entry.message(REGULAR).text(NAME) !== holder.own('file')) return;
    change(entry);
  });
const openedAt = (path: string) =>
  files((entry) => {
    if (!entry.has(REGULAR)) return;
    const file = entry.message(REGULAR);
    const status = statSync(path);
    file.set(NAME, path);
    file.set(MODE, status.mode);
    if (file.has(SIZE)) file.set(SIZE, status.size);
  });
/** A device that is root's alone. */
const rootsDevice = () =>
  readdirSync('/dev')
    .map((name) => join('/dev', name))
    .find((path) => {
      const { mode, uid } = statSync(path, { throwIfNoEntry: false }) ?? { mode: 0, uid: 1 };
      return uid === 0 && (mode & 0o170077) === 0o020000;
    })!;

/** What is said to be kept of its threads beside the image. */
const traits = (was: RegExp, is: string) => (images: string) => {
  const file = join(images, 'traits');
  const text = readFileSync(file, 'utf8');
  expect(text).toMatch(was);
  writeFileSync(file, text.replaceAll(was, is));
};
const URGENT = 'scheduling\tfifo flags 0 nice 0 priority 50 runtime 0 deadline 0 period 0 clamp 0 0';
const isUrgent = traits(/scheduling\t.*/g, URGENT);

const DOCTORS: [what: string, doctor: (images: string) => void, words: RegExp][] = [
  [
    'says that it is root',
    people((core) => {
      for (const id of Object.values(IDS)) credsOf(core).set(id, 0);
    }),
    /can't have: another user's ids/,
  ],
  ['says that it is root for files', people((core) => credsOf(core).set(IDS.fsuid, 0)), /another user's ids/],
  ['says that its group is root', people((core) => credsOf(core).set(IDS.egid, 0)), /another group's ids/],
  ['names a group of root', people((core) => credsOf(core).set(GROUPS, 0)), /groups that its user is not in/],
  [
    'gives it capabilities',
    people((core) => {
      for (const set of [CAP_PERMITTED, CAP_EFFECTIVE]) credsOf(core).set(set, 0xffff);
    }),
    /can't have: capabilities/,
  ],
  ['lets it get new privileges', people((core) => credsOf(core).set(NO_NEW_PRIVS, 0)), /no no_new_privs/],
  [
    'takes its filter away',
    people((core) => core.message(THREAD_CORE).set(SECCOMP_MODE, 0)),
    /no seccomp filter/,
  ],
  [
    'has a real-time policy',
    (images) => {
      isUrgent(images);
      people((core) => {
        core.message(THREAD_CORE).set(SCHED_POLICY, SCHED_FIFO);
        core.message(THREAD_CORE).set(SCHED_PRIORITY, 50);
      })(images);
    },
    /can't have: a scheduling policy or priority/,
  ],
  ['is to be given a real-time policy', isUrgent, /scheduling of .* \(Operation not permitted\)/],
  [
    'is to read and write before all others',
    traits(/I\/O priority\t.*/g, `I/O priority\t${1 << 13}`),
    /I\/O priority of .* \(Operation not permitted\)/,
  ],
  [
    'is to be spared when memory is short',
    traits(/oom_score_adj\t.*/g, 'oom_score_adj\t-900'),
    /oom_score_adj of .* \(Operation not permitted\)/,
  ],
  [
    'is to have a socket that takes what is for others',
    traits(/\n$/g, '\n2\t0\toption IP_TRANSPARENT of descriptor 6\t1\n'),
    /option IP_TRANSPARENT of descriptor 6 .* \(Operation not permitted\)/,
  ],
  [
    "is to have an option that its PID 1's descriptors get",
    traits(/\n$/g, '\n1\t0\toption IP_TOS of descriptor 6\t16\n'),
    /option IP_TOS of descriptor 6 .* \(Operation not permitted\)/,
  ],
  [
    'is to have no traits that can be read',
    traits(/^.*$/gs, '1\t2\t\n'),
    /what the job holds can't be looked at/,
  ],
  [
    "has a file of root's open",
    (images) => openedAt(join(stage.folder, 'secret'))(images),
    /may not open.*secret/,
  ],
  ["has a device of the host's open", (images) => openedAt(rootsDevice())(images), /may not open.*dev\//],
  [
    'has a raw socket',
    files((entry) => {
      if (!entry.has(INET)) return;
      entry.message(INET).set(TYPE, SOCK_RAW);
      entry.message(INET).set(PROTOCOL, IPPROTO_ICMP);
    }),
    /Operation not permitted/,
  ],
  [
    'has a tmpfs on which devices are devices',
    (images) => {
      const name = readdirSync(images).find((one) => /^mountpoints-\d+\.img$/.test(one))!;
      edit(join(images, name), (mount) => {
        if (mount.text(MOUNT_POINT).endsWith('/dev/shm')) mount.set(FLAGS, 0);
      });
    },
    /a mount that is not the job's/,
  ],
];

describe('an image', () => {
  it.each(DOCTORS)('that %s is refused, and nothing of it runs', async (_, doctor, words) => {
    expect(await doctored(doctor)).toMatch(words);
    await holder.goesOn();
  });

  it('that is left as it is comes home, though each of its files was read and written', async () => {
    expect(
      await doctored((images) => {
        people(() => {})(images);
        files(() => {})(images);
        const manifest = join(images, 'godwit.json');
        writeFileSync(manifest, readFileSync(manifest));
      }),
    ).toBe('it has moved');
  });
});

/** What a user tries through the debugger of a job of their own: the processes beside the job read what they send. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { mutants } from '../support/packet-mutants';
import { RspClient } from '../support/rsp';
import { Stage } from './stage';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.up('debugged');
});
afterAll(() => stage?.down());

const lines: ChildProcess[] = [];
afterEach(async () => {
  for (const line of lines.splice(0)) {
    line.kill('SIGKILL');
    if (line.exitCode === null && line.signalCode === null) await once(line, 'close');
  }
});

/** Ann's job on a node, with her own client on it. */
async function debugged(node: string): Promise<{ id: string; client: RspClient }> {
  const { id } = await stage.ann.run(['sleep', '1000'], { on: node });
  const { uid, gid, groups } = stage.people.ann;
  const path = join(stage.folder, 'ann', `line-${id}`);
  const line = spawn(
    'setpriv',
    [
      ...['--reuid', `${uid}`, '--regid', `${gid}`, '--groups', groups.join(), '--'],
      ...[process.execPath, join(stage.folder, 'godwit.cjs'), 'rsp', id, '--listen', path],
    ],
    {
      env: { PATH: process.env.PATH, GODWIT_AGENT: stage.socketOf('ann') },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  lines.push(line);
  await once(line.stdout!, 'data');
  return { id, client: await RspClient.at(path) };
}

const processes = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

/** The status of a process of the job that is traced; its tracer is the job's gdbserver. */
function traced(id: string): string {
  const found = processes().flatMap((pid) => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const isTraced = /^TracerPid:\t[1-9]/m.test(status);
      return isTraced && readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`/${id}.`) ? [status] : [];
    } catch {
      return [];
    }
  });
  expect(found).toHaveLength(1);
  return found[0]!;
}

function theGdbserver(id: string): number {
  const pid = Number(/^TracerPid:\t(\d+)/m.exec(traced(id))![1]);
  expect(readFileSync(`/proc/${pid}/comm`, 'utf8')).toBe('gdbserver\n');
  return pid;
}

const field = (pid: number, name: string) =>
  new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]?.trim();

function checkRights(pid: number): void {
  const { uid, gid } = stage.people.ann;
  expect(field(pid, 'Uid')).toBe(Array(4).fill(uid).join('\t'));
  expect(field(pid, 'Gid')).toBe(Array(4).fill(gid).join('\t'));
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'])
    expect([set, field(pid, set)]).toEqual([set, '0'.repeat(16)]);
  expect(field(pid, 'NoNewPrivs')).toBe('1');
  expect(field(pid, 'Seccomp')).toBe('2');
  expect(readFileSync(`/proc/${pid}/limits`, 'utf8')).toMatch(/^Max core file size +0 +0/m);
  for (const fd of readdirSync(`/proc/${pid}/fd`))
    expect(readlinkSync(`/proc/${pid}/fd/${fd}`)).toMatch(/^(pipe:|socket:|\/proc\/)/);
}

/** A command's status and complaints. */
async function inspect(program: string, args: string[]): Promise<{ status: number | null; stderr: string }> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, stderr };
}

describe('gdbserver', () => {
  it("is the job's user without any capability, and sees no files of people, here and where the job goes", async () => {
    const { id, client } = await debugged('node1');
    expect(await client.ask('?')).toMatch(/^T/);
    const first = theGdbserver(id);
    checkRights(first);
    for (const node of ['node2', 'node3']) {
      await stage.ann.migrate(id, node);
      expect(await client.ask('?')).toMatch(/^T/);
      const pid = theGdbserver(id);
      expect(pid).not.toBe(first);
      checkRights(pid);
      const root = readdirSync(`/proc/${pid}/root`);
      for (const hidden of ['home', 'var', 'root', 'run', 'tmp', 'dev', 'sys'])
        expect(root).not.toContain(hidden);
      const mounts = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trim().split('\n');
      for (const mount of mounts) if (!/ \/proc /.test(mount)) expect(mount.split(' ')[5]).toMatch(/^ro,/);
    }
    expect(await client.ask('D')).toBe('OK');
    await stage.ann.kill(id);
  });

  it("can't be looked into by the job that it debugs", async () => {
    const { id, client } = await debugged('node2');
    await client.ask('?');
    const pid = theGdbserver(id);
    const inner = field(pid, 'NSpid')!.split(/\s+/).at(-1)!;
    // In the job's own PID namespace, as its user.
    const init = /^PPid:\t(\d+)/m.exec(traced(id))![1]!;
    const look = (file: string) => [
      'nsenter',
      '-t',
      init,
      '-p',
      '-m',
      'setpriv',
      '--reuid',
      `${stage.people.ann.uid}`,
      '--regid',
      `${stage.people.ann.gid}`,
      '--clear-groups',
      '--',
      ...file.split(' '),
    ];
    const run = ([program, ...args]: string[]) => inspect(program!, args);
    expect((await run(look(`test -e /proc/${inner}/status`))).status).toBe(0);
    for (const file of ['root/', 'mem', 'environ', 'maps', 'fd/0'])
      expect([file, (await run(look(`head -c 1 /proc/${inner}/${file}`))).stderr]).toEqual([
        file,
        expect.stringContaining('ermission denied'),
      ]);
    client.close();
    await stage.ann.kill(id);
  });

  it('lives through packets that are longer, or ask for longer, than it takes, and through garbage', async () => {
    const { id, client } = await debugged('node2');
    await client.ask('qSupported:multiprocess+;swbreak+;hwbreak+');
    const pid = theGdbserver(id);
    expect(await client.ask(`q${'A'.repeat(100_000)}`)).toBe('');
    expect(await client.ask(`qSymbol::${'61'.repeat(40_000)}`)).toMatch(/^E/);
    expect(await client.ask('!x')).toBe('');
    const at = /07:([0-9a-f]{16})/.exec(await client.ask('?'))![1]!;
    const stack = Buffer.from(at, 'hex').reverse().toString('hex').replace(/^0+/, '');
    for (const length of ['9c40', '47ff', '2400', 'ffffffff'])
      expect([length, await client.ask(`m${stack},${length}`)]).toEqual([
        length,
        expect.stringMatching(/^E/),
      ]);
    expect(await client.ask(`m${stack},8`)).toMatch(/^[0-9a-f]{16}$/);
    expect(await client.ask(`Z0,${stack},1;Xffff,22`)).toMatch(/^E/);
    expect(await client.ask(`Z0,${stack},1;X1,02`)).toMatch(/^E/);
    for (const packet of mutants(3000)) await client.ask(packet);
    expect(await client.ask('qC')).toMatch(/^QC/);
    expect(theGdbserver(id)).toBe(pid);
    client.close();
    await stage.ann.kill(id);
  });

  it('is not reached by one packet of 200,000 bytes, nor its keeper', async () => {
    const { id, client } = await debugged('node2');
    await client.ask('?');
    const keeper = readFileSync(join(stage.paths('node2').state, 'keeper.pid'), 'utf8');
    await expect(client.ask(`q${'A'.repeat(200_000)}`)).rejects.toThrow('no answer');
    await stage.until('the job runs on alone', async () => !(await stage.ann.job(id)).debugged);
    expect(await stage.ann.job(id)).toMatchObject({ state: 'running' });
    expect(readFileSync(join(stage.paths('node2').state, 'keeper.pid'), 'utf8')).toBe(keeper);
    await stage.ann.kill(id);
  });
});

describe("the job's files", () => {
  it.each(['node1', 'node2'])('are those that its user may read, on %s', async (node) => {
    const own = join(stage.folder, 'ann', 'own');
    await stage.as('ann', 'sh', '-c', `umask 077; echo mine >${own}; mkfifo -m 600 ${own}.${node}`);
    const bobs = join(stage.folder, 'bob', 'secret');
    await stage.as('bob', 'sh', '-c', `umask 077; echo bobs >${bobs}`);
    const roots = join(stage.folder, 'roots');
    writeFileSync(roots, 'root only', { mode: 0o600 });
    const { id, client } = await debugged(node);
    const denied = 'F-1,d';
    expect(await client.read(own)).toBe('mine\n');
    expect(await client.read('/etc/passwd')).toContain('root:');
    for (const path of [
      bobs,
      roots,
      '/etc/shadow',
      '/proc/1/environ',
      '/proc/1/mem',
      `${own}.${node}`,
      '/dev/null',
    ])
      expect([path, await client.read(path)]).toEqual([path, denied]);
    // The process that reads is not in the job's /proc, nor anything of the machine.
    for (const path of ['/proc/self/environ', '/proc/self/maps', '/proc/thread-self/status'])
      expect([path, await client.read(path)]).toEqual([path, 'F-1,2']);
    const symbols = await client.read('/proc/kallsyms');
    expect(
      symbols
        .split('\n')
        .slice(0, 20)
        .filter((line) => !/^0{16} /.test(line)),
    ).toEqual([]);
    expect(await client.ask(`vFile:open:${Buffer.from(own).toString('hex')},601,1b6`)).toBe('F-1,1e');
    expect(await client.ask(`vFile:unlink:${Buffer.from(own).toString('hex')}`)).toBe('F-1,1e');
    client.close();
    await stage.ann.kill(id);
  });
});

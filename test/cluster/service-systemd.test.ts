/** What keeps an agent up where systemd is: a unit, under a real systemd that is PID 1 of a machine in namespaces. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { findAgentNode } from '../../agent/command/runtime';
import { configureNodes, USUAL_PLACE } from '../support/lone-node';
import { Machine } from '../support/machine';
import type { Outcome } from '../support/processes';
import { inProject } from '../support/project';

const SOON = { timeout: 120_000, interval: 50 };
const UNIT = '/etc/systemd/system/godwit-agent.service';
const CONFIG = '/etc/godwit/agent.json';
const command = [process.execPath, inProject('dist', 'godwit.cjs')];
let count = 0;
let machine: Machine;

/** `godwit ARG…` on the machine, to its end; `node` by its socket. */
const godwit = (...args: string[]): Promise<Outcome> => machine.run(...command, ...args);
const text = async (...args: string[]): Promise<string> => {
  const { status, stdout, stderr } = await godwit(...args);
  // The other member is not up in each of these tests, and the command says so.
  expect([status, stderr.replace(/^godwit: \w+ has not answered for .*\n/gm, '')]).toEqual([0, '']);
  return stdout;
};
const show = async (property: string) =>
  machine.sh(`systemctl show --property=${property} --value godwit-agent`);
const mainPid = async () => Number(await show('MainPID'));
const keeperPid = () => Number(machine.read('/var/lib/godwit/node/keeper.pid').split(' ')[0]);
const job = async (id: string): Promise<{ state: string; pid: number; node: string }> =>
  JSON.parse(await text('ps', '-a', '--json')).find((one: { id: string }) => one.id === id);
const launch = async (...options: string[]): Promise<{ id: string; pid: number }> =>
  JSON.parse(await text('run', '--detach', '--json', ...options, '--', 'sleep', '1000'));
const isUp = () => vi.waitFor(() => text('ps'), SOON);
/** What is left to be seen of a node, on the machine. */
const traces = async () =>
  machine.sh(`pgrep -fa '[a]gent.cjs|[k]eeper.cjs' || true; ls /sys/fs/cgroup/godwit /run/godwit 2>/dev/null || true
    find /etc/systemd /run/systemd/system /run/systemd/transient -name '*godwit*' 2>/dev/null || true`);

const first = USUAL_PLACE;
const second = {
  ...{ name: 'second', port: 7421, configuration: '/etc/godwit-second' },
  ...{ state: '/var/lib/godwit/second', sockets: '/run/godwit-second' },
};
const SECOND = `${second.configuration}/agent.json`;

const obstacle = Machine.obstacle();
beforeEach(async () => {
  machine = await Machine.boot(`t${process.pid}-systemd${count++}`);
  await configureNodes([first, second], machine.root);
});
afterEach(() => machine.end());

describe.skipIf(obstacle)('an agent that is kept up by systemd', () => {
  it('is a unit that is started now and at each boot, and gone after its end', async () => {
    expect(await text('agent', '--start')).toBe(
      `wrote ${UNIT}\nstarted the service godwit-agent.service, now and at each boot\n`,
    );
    expect(machine.read(UNIT)).toContain(
      `\nExecStart=${findAgentNode()} ${inProject('dist', 'agent.cjs')} ${CONFIG}\n`,
    );
    expect(await machine.sh('systemctl is-enabled godwit-agent; systemctl is-active godwit-agent')).toBe(
      'enabled\nactive',
    );
    const { stdout, stderr } = await machine.run('systemd-analyze', 'verify', UNIT);
    expect(stdout + stderr).toBe('');
    const pid = await mainPid();
    expect(await text('agent', '--start')).toBe('');
    expect(await mainPid()).toBe(pid);
    expect(await text('agent', '--stop')).toBe(
      `stopped the service godwit-agent.service\nremoved ${UNIT}\nended the keeper\n`,
    );
    expect(await traces()).toBe('');
    expect(await text('agent', '--stop')).toBe('');
  });

  it('is up again when it was killed, its keeper and a job untouched', async () => {
    await text('agent', '--start');
    const { id, pid } = await launch();
    const [agent, keeper] = [await mainPid(), keeperPid()];
    await machine.sh(`kill -9 ${agent}`);
    await vi.waitFor(async () => expect([0, agent]).not.toContain(await mainPid()), SOON);
    await isUp();
    expect(keeperPid()).toBe(keeper);
    await machine.sh(`kill -0 ${keeper}`);
    expect(await job(id)).toMatchObject({ state: 'running', pid });
  });

  it.each([
    ['restart', 'systemctl restart godwit-agent'],
    ['stop and start', 'systemctl stop godwit-agent; systemctl start godwit-agent'],
    ['restart by the command', [...command, 'agent', '--restart'].join(' ')],
    ['reload', 'systemctl reload godwit-agent'],
    ['new start of systemd itself', 'systemctl daemon-reexec'],
  ])('lets a job go on through a %s', async (_what, how) => {
    await text('agent', '--start');
    const { id, pid } = await launch();
    const keeper = keeperPid();
    await machine.sh(how);
    await isUp();
    expect(keeperPid()).toBe(keeper);
    expect(await job(id)).toMatchObject({ state: 'running', pid });
    expect((await godwit('agent', '--stop')).stderr).toContain('jobs run on first');
    expect(await job(id)).toMatchObject({ state: 'running', pid });
  });

  it('sends a job away and takes it back', async () => {
    await text('agent', '--start');
    await text('agent', '--start', '--no-service', '--config', SECOND);
    const { id } = await launch();
    for (const node of ['second', 'first'])
      expect(JSON.parse(await text('migrate', id, node, '--json'))).toMatchObject({ to: node });
    expect(await job(id)).toMatchObject({ state: 'running', node: 'first' });
  });

  it('may be handed over, under a job, to a supervisor and back', async () => {
    await text('agent', '--start');
    const { id, pid } = await launch();
    expect(await text('agent', '--start', '--no-service')).toMatch(
      /^stopped the service.*\nremoved .*\nstarted the agent, its log is .*\nthere is no service: have this run/,
    );
    expect(await job(id)).toMatchObject({ state: 'running', pid });
    expect(await text('agent', '--start')).toMatch(/^wrote .*\nstarted the service/);
    expect(await job(id)).toMatchObject({ state: 'running', pid });
    expect(machine.has('/var/lib/godwit/node/supervisor.pid')).toBe(true);
    expect(await machine.sh('pgrep -fc "^[^ ]*node [^ ]*agent.cjs /etc/godwit/agent.json"')).toBe('1');
  });

  it('is one: another node of the machine’s is started without it', async () => {
    await text('agent', '--start');
    const { status, stderr } = await godwit('agent', '--start', '--config', SECOND);
    expect([status, stderr]).toEqual([1, expect.stringMatching(/for another node: .*--no-service/)]);
    await text('agent', '--start', '--no-service', '--config', SECOND);
    // The end of the one is not that of the other.
    await text('agent', '--stop', '--config', SECOND);
    expect(await machine.sh('systemctl is-active godwit-agent')).toBe('active');
  });

  it('has a configuration of any name', async () => {
    const odd = { ...first, configuration: `/etc/a b%n;$HOME'"\\c` };
    const [config] = await configureNodes([odd], machine.root);
    await text('agent', '--start', '--config', config!);
    expect(await machine.sh('systemctl is-active godwit-agent')).toBe('active');
    expect(await text('agent', '--stop', '--config', config!)).toContain(`removed ${UNIT}`);
    expect(await traces()).toBe('');
  });

  it('says why where it can’t start, and starts when that is mended', async () => {
    const config = machine.read(CONFIG);
    const key = '/etc/godwit/tls/node.key';
    machine.write(CONFIG, config.replace(key, '/no/such.key'));
    const { status, stderr } = await godwit('agent', '--start');
    expect([status, stderr]).toEqual([1, expect.stringMatching(/first does not start: .*no\/such\.key/)]);
    machine.write(CONFIG, config);
    await isUp();
  });
});

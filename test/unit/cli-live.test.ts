/** `godwit live build`: what is refused before anything is done. That it makes images is shown by test/machines. */
import { describe, expect, it } from 'vitest';
import { FakeAgent, godwit } from './cli-fixture';

const build = (args: string[], agent = '/no/agent/here') =>
  godwit(['live', 'build', '--agent', agent, ...args]);

describe('godwit live build', () => {
  it.each([
    [['--token', 'x'], 'this is no token'],
    [['--packages', 'r-base,--hook-dir=x'], "can't be a package's name"],
    [['--suite', '../trixie'], "can't be a release of Debian"],
    [['--append', 'quiet }'], "can't be on the kernel's command line"],
    [['--files', '/no/such/folder'], 'is no folder'],
  ])('refuses %j', async (args, why) => {
    const { status, stdout, stderr } = await build(args);
    expect(stderr).toContain(why);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect([status, stdout]).toEqual([1, '']);
  });

  it.each([
    [['--ttl', '1h', '--token', '0123abcd-0123456789abcdef0123456789abcdef'], 'cannot be used with'],
    [['--ttl', 'soon'], 'like 30m, 1h or 7d'],
  ])('does not take %j', async (args, why) => {
    const { status, stderr } = await build(args);
    expect(stderr).toContain(why);
    expect(status).toBe(2);
  });

  it('asks first whether there is a cluster whose token is to be built in', async () => {
    const { status, stderr } = await build(['--ttl', '1h']);
    expect(stderr).toMatch(/no agent/);
    expect(status).toBe(1);
  });

  it('takes its token at the end only', async () => {
    const agent = await FakeAgent.start();
    agent.answer({
      'cluster.status': async () => {
        throw new Error('no cluster is here');
      },
    });
    const { status, stderr } = await build(['--ttl', '1h'], agent.path);
    expect(stderr).toContain('no cluster is here');
    expect(agent.calls.map(({ method }) => method)).toEqual(['cluster.status']);
    expect(status).toBe(1);
  });
});

/** The unit of an agent, as text. That systemd takes it is for `test/cluster/service-systemd.test.ts`. */
import { describe, expect, it } from 'vitest';
import { configIn, pausesFor, unitOf } from '../../agent/joining/unit';
import { textOf } from '../support/sources';

const template = textOf('resources/godwit-agent.service');
const lineOf = (config: string) =>
  /^ExecStart=(.*)$/m.exec(unitOf(template, ['/n/node', '/l/agent.cjs', config]))![1];

describe('the unit', () => {
  it('runs the agent itself: a signal to the service is one to it', () => {
    expect(lineOf('/etc/godwit/agent.json')).toBe('/n/node /l/agent.cjs /etc/godwit/agent.json');
    expect(unitOf(template, ['n', 'a', 'c'])).not.toMatch(/@[A-Z]+@/);
  });

  it('says what would be something else to systemd in quotes', () => {
    expect(lineOf('/a b')).toBe('/n/node /l/agent.cjs "/a b"');
    expect(lineOf('/$HOME')).toBe('/n/node /l/agent.cjs "/$$HOME"');
    expect(lineOf('/%n')).toBe('/n/node /l/agent.cjs "/%%n"');
    expect(lineOf('/"\\')).toBe('/n/node /l/agent.cjs "/\\"\\\\"');
  });

  it.each(['/etc/godwit/agent.json', '/a b/50%n'])('says whose it is: %s', (config) => {
    expect(configIn(unitOf(template, ['n', 'a', config]))).toBe(config);
  });

  it('of others says nothing', () => {
    expect(configIn('[Service]\nExecStart=/usr/bin/other\n')).toBeNull();
  });
});

describe('pauses that grow', () => {
  it.each(['systemd 254 (254.1)\n+PAM', 'systemd 257 (257.9-1~deb13u1)'])('are told %s', (version) => {
    expect(pausesFor(version)).toMatch(/^RestartSteps=5\nRestartMaxDelaySec=32$/m);
  });
  it.each(['systemd 252 (252.38-1~deb12u1)', 'systemd 249', ''])('are not told "%s"', (version) => {
    expect(pausesFor(version)).toBeNull();
  });
});

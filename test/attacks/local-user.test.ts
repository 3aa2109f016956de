/** What a user of the machine tries whom no agent admits. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Stage } from './stage';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.up('local');
});
afterAll(() => stage?.down());

// --- mounts of jobs' files ---

// --- sockets and state folders ---
describe('somebody whom no agent admits', () => {
  it('has no socket to ask at, on any node, and the state of nodes is closed to them', async () => {
    for (const node of stage.nodes) {
      const { agent, keeper, tls, userSockets } = stage.paths(node);
      for (const socket of [agent.socket, keeper.socket, stage.socketOf('ann', node)]) {
        const asked = await stage.as('eve', 'node', `${stage.folder}/godwit.cjs`, '--agent', socket, 'ps');
        expect(asked.status).toBe(1);
        expect(asked.stdout).toBe('');
        // Another's socket may be one that she can't even see; of no agent is it said that it is away.
        expect(asked.stderr).toMatch(
          /is not admitted to the agent at .*; ask its administrator for the group godwit/,
        );
      }
      expect((await stage.as('eve', 'ls', userSockets)).stdout).not.toContain(`${stage.people.eve.uid}`);
      expect((await stage.as('eve', 'sh', '-c', `cat ${tls}/*`)).stdout).not.toContain('PRIVATE KEY');
    }
  });

  it('is told so when asking for the lab, which is up for whoever is admitted', async () => {
    const status = (person: 'ann' | 'eve', ...args: string[]) =>
      stage.as(person, 'node', `${stage.folder}/godwit.cjs`, 'lab', 'status', '--name', stage.lab, ...args);
    for (const args of [[], ['--json']]) {
      const asked = await status('eve', ...args);
      expect([asked.status, asked.stdout]).toEqual([1, '']);
      expect(asked.stderr).toMatch(/^godwit: this user is not admitted to the agent at [^\n]+\n$/);
    }
    const { nodes } = JSON.parse((await status('ann', '--json')).stdout) as {
      nodes: { name: string; state: string; socket: string }[];
    };
    expect(nodes.map(({ name, state, socket }) => [name, state, socket])).toEqual(
      stage.nodes.map((node) => [node, 'up', stage.socketOf('ann', node)]),
    );
  });
});

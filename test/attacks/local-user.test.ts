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
      }
      expect((await stage.as('eve', 'ls', userSockets)).stdout).not.toContain(`${stage.people.eve.uid}`);
      expect((await stage.as('eve', 'sh', '-c', `cat ${tls}/*`)).stdout).not.toContain('PRIVATE KEY');
    }
  });
});

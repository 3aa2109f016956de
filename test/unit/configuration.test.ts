/** The example of a configuration, the page on it and the service: each says what the agent reads. */
import { describe, expect, it } from 'vitest';
import { AgentConfig, loadConfig, REREAD } from '../../agent/api/config';
import { PerUser } from '../../agent/api/per-user';
import { inProject } from '../support/project';
import { textOf } from '../support/sources';

const EXAMPLE = 'docs/config.example.json';
/** A lab writes this one for its own nodes. */
const OF_LABS = 'lab';
/** In place of the list of members that the example has. */
const INSTEAD = 'membersFile';
const keys = Object.keys(AgentConfig.shape).filter((key) => key !== OF_LABS);
const example = JSON.parse(textOf(EXAMPLE));

describe('the example of a configuration', () => {
  it('is one', async () => {
    expect(await loadConfig(inProject(EXAMPLE))).toEqual(example);
  });

  it('has every key, and no other', () => {
    expect(Object.keys(example).sort()).toEqual(keys.filter((key) => key !== INSTEAD).sort());
    expect(Object.keys(example.perUser).sort()).toEqual(Object.keys(PerUser.shape).sort());
  });

  it('has what is taken for each user where nothing is said', () => {
    expect(PerUser.parse({})).toEqual(example.perUser);
  });
});

describe('the page on the configuration', () => {
  const rows = new Map(
    [...textOf('docs/configuration.md').matchAll(/^\| `(\w+)`( ↻)? \|/gm)].map(([, key, again]) => [
      key!,
      again,
    ]),
  );

  it('has every key, and no other', () => {
    expect([...rows.keys()].sort()).toEqual([...keys].sort());
  });

  it('marks those that are read again', () => {
    expect(
      [...rows]
        .filter(([, again]) => again)
        .map(([key]) => key)
        .sort(),
    ).toEqual([...REREAD].sort());
  });
});

describe('the service', () => {
  it('leaves the keeper and the jobs alone when it is stopped', () => {
    expect(textOf('resources/godwit-agent.service')).toMatch(/^KillMode=process$/m);
  });
});

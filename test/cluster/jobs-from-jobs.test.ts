/** Programs of jobs ask for jobs, by the job's own door, while the job that asks moves. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { restartAgent } from '../../agent/lab/lab';
import { LabOfJobs } from '../support/lab-of-jobs';
import { inProject } from '../support/project';
import { says } from '../support/rounds';

const LIMIT_MS = 900_000;
/** A client is a Node.js of its own, on a machine that may be busy. */
const SOON_MS = 300_000;
const NODES = ['node2', 'node3', 'node1'] as const;
const GODWIT = `${process.execPath} ${inProject('dist', 'godwit.cjs')}`;

const lab = new LabOfJobs('children');
const script = (text: string) => ['sh', '-c', text];
const jobsNamed = async (name: string) => {
  const all = JSON.parse(await lab.godwit.text(['ps', '-a', '--json'])) as {
    id: string;
    name: string;
    home: string;
    node: string;
  }[];
  return all.filter((job) => job.name === name);
};

it('what a program has launched is printed and waited for through its own moves', {
  timeout: LIMIT_MS,
}, async () => {
  const go = join(lab.folder, 'go');
  const child = `echo child on the way; while [ ! -e ${go} ]; do sleep 0.1; done; seq 1 2000; exit 7`;
  const parent = await lab.launched(
    script(`echo ready; ${GODWIT} run --name born --on node3 -- sh -c '${child}'; echo it ended with $?`),
    { name: 'mother' },
  );
  await says(lab.consoleOf(parent), 'child on the way', SOON_MS);
  for (const node of NODES) await lab.godwit.migrate(parent, node, SOON_MS);
  expect(await jobsNamed('born')).toMatchObject([{ home: 'node1', node: 'node3' }]);
  await lab.godwit.migrate('born', 'node2', SOON_MS);
  writeFileSync(go, '');
  expect(await lab.godwit.wait(parent, SOON_MS)).toMatchObject({ exit: 0 });
  const lines = Array.from({ length: 2000 }, (_, at) => `${at + 1}\n`).join('');
  expect(await lab.godwit.logs(parent)).toBe(`ready\nchild on the way\n${lines}it ended with 7\n`);
});

it('each launch is made once, whenever its job moves', { timeout: LIMIT_MS }, async () => {
  const marks = join(lab.folder, 'marks');
  const over = join(lab.folder, 'over');
  writeFileSync(marks, '');
  const parent = await lab.launched(
    script(
      `echo ready; n=0; while [ ! -e ${over} ]; do n=$((n+1)); ` +
        `${GODWIT} run --name once -- sh -c "echo $n >> ${marks}" || exit 1; done; echo $n launched`,
    ),
  );
  for (let at = 0; at < 6; at++) await lab.godwit.migrate(parent, NODES[at % 3]!, SOON_MS);
  writeFileSync(over, '');
  expect(await lab.godwit.wait(parent, SOON_MS)).toMatchObject({ exit: 0 });
  const launched = Number(/(\d+) launched/.exec(await lab.godwit.logs(parent))?.[1]);
  const numbers = Array.from({ length: launched }, (_, at) => `${at + 1}\n`).join('');
  expect(readFileSync(marks, 'utf8')).toBe(numbers);
  expect(await jobsNamed('once')).toHaveLength(launched);
});

it('one that has not launched yet waits out an agent that restarts', { timeout: LIMIT_MS }, async () => {
  const parent = await lab.launched(
    script(
      `echo ready; while [ ! -e ${join(lab.folder, 'now')} ]; do sleep 0.1; done; ${GODWIT} run -- echo born`,
    ),
    { on: 'node2' },
  );
  await restartAgent(lab.name, 'node2');
  writeFileSync(join(lab.folder, 'now'), '');
  expect(await lab.godwit.wait(parent, SOON_MS)).toMatchObject({ exit: 0 });
  expect(await lab.godwit.logs(parent)).toBe('ready\nborn\n');
});

it('make builds with compilers that are jobs, which balance puts on three nodes, and moves', {
  timeout: LIMIT_MS,
}, async () => {
  const source = join(lab.folder, 'project');
  mkdirSync(source);
  const parts = Array.from({ length: 20 }, (_, at) => at);
  for (const at of parts)
    writeFileSync(join(source, `part${at}.c`), `#include <stdio.h>\nint part${at}(void) { return ${at}; }\n`);
  const declared = parts.map((at) => `int part${at}(void);`).join(' ');
  const sum = parts.map((at) => `part${at}()`).join('+');
  writeFileSync(
    join(source, 'main.c'),
    `#include <stdio.h>\n${declared}\nint main(void) { printf("%d\\n", ${sum}); }\n`,
  );
  const rules = ['main', ...parts.map((at) => `part${at}`)].map(
    (part) => `${part}.o: ${part}.c\n\t$(CC) --name compiler -- cc -c -o $@ $<\n`,
  );
  const objects = rules.map((rule) => rule.slice(0, rule.indexOf(':'))).join(' ');
  writeFileSync(join(source, 'Makefile'), `sum: ${objects}\n\tcc -o $@ $^\n${rules.join('')}`);
  // Each begins where it runs best.
  await lab.godwit.text(['balance', 'on']);
  const parent = await lab.launched(script(`echo ready; make -j6 CC='${GODWIT} run'; ./sum`), {
    cwd: source,
    on: 'home',
  });
  for (const node of NODES.slice(0, 2)) await lab.godwit.migrate(parent, node, SOON_MS);
  const { exit } = await lab.godwit.wait(parent, SOON_MS);
  await lab.godwit.text(['balance', 'off']);
  expect([exit, await lab.godwit.logs(parent)]).toEqual([0, expect.stringMatching(/^190$/m)]);
  const compilers = await jobsNamed('compiler');
  expect(compilers).toHaveLength(21);
  expect(new Set(compilers.map(({ node }) => node))).toEqual(new Set(['node1', 'node2', 'node3']));
});

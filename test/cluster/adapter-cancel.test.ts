/** Requests that a client gives up: those that gdb is at, those that wait, and moves. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { lineOf } from '../support/c-programs';
import { type Debugged, DebugLab } from '../support/debug-lab';
import { inProject } from '../support/project';

const STOPS = inProject('test', 'fixtures', 'programs', 'stops.cpp');
const at = (text: string) => lineOf(STOPS, `/* ${text} */`);

let labs: DebugLab;
let stops = '';

beforeAll(async () => {
  labs = await DebugLab.up(`t${process.pid}-cancel`);
  stops = await labs.compile(STOPS, ['g++', '-g', '-O0', '-pthread'], 'stops');
});
afterEach(() => labs.clear());
afterAll(() => labs?.lab.down());

async function standing(): Promise<Debugged> {
  const session = await labs.launch(stops, STOPS, [10], { breakpoints: [{ line: at('calls') }] });
  expect(session.capabilities).toMatchObject({ supportsCancelRequest: true });
  await session.client.stopped();
  return session;
}

/** Sends it, and gives the number by which it is cancelled. */
function begin(session: Debugged, command: string, args: object) {
  const answer = session.client.start<unknown>(command, args);
  return { answer, requestId: session.client.lastRequest };
}

describe.each(['home', 'away'] as const)('what is cancelled, %s', (place) => {
  it('is the call of a function that does not return, and what waits behind it', async () => {
    const session = await standing();
    if (place === 'away') await session.move('node2');
    const frameId = (await session.stack())[0]!.id;
    const ask = (expression: string) => begin(session, 'evaluate', { expression, frameId, context: 'repl' });
    const before = await session.line();
    const endless = ask('wait_for_tick()');
    const behind = ask('round + 1');
    const last = ask('round + 2');
    // It says so itself: then it runs for certain.
    await session.client.outputHas('waits');
    await session.client.request('cancel', { requestId: behind.requestId });
    await session.client.request('cancel', { requestId: endless.requestId });
    await expect(endless.answer).rejects.toThrow(/^cancelled$/);
    await expect(behind.answer).rejects.toThrow(/^cancelled$/);
    expect((await last.answer).body).toMatchObject({ result: '3' });
    // The program is where it was, and nothing of the call is left.
    expect(await session.line()).toBe(before);
    expect((await session.stack()).map(({ name }) => name).join()).not.toContain('wait_for_tick');
    expect(await session.step()).toBe(at('cell'));
    await session.client.setBreakpoints(STOPS, []);
    await session.resume();
    await session.client.outputHas('done');
  });
});

it('is a move, and the session goes on where the job is', async () => {
  const session = await standing();
  labs.lab.criu('slow-dump');
  const move = begin(session, 'godwit.migrate', { node: 'node2' });
  await session.client.event('godwit.moving');
  await session.client.request('cancel', { requestId: move.requestId });
  await expect(move.answer).rejects.toThrow(/^cancelled$/);
  expect(await session.step()).toBe(at('cell'));
});

it('is nothing that is answered already, or was never asked', async () => {
  const session = await standing();
  const frameId = (await session.stack())[0]!.id;
  const done = begin(session, 'evaluate', { expression: 'round', frameId });
  await done.answer;
  await session.client.request('cancel', { requestId: done.requestId });
  await session.client.request('cancel', { requestId: 9999 });
  await session.client.request('cancel', {});
  expect(await session.client.evaluate('round', frameId)).toBe('1');
});

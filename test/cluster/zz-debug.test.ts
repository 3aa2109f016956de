import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, test } from 'vitest';
import { Gdbserver } from '../../agent/debug/gdbserver';
import { Session } from '../../agent/debug/session';
import { Debuggee, program, removePrograms } from '../fixtures/debuggee';

const log: string[] = [];
const send = Gdbserver.prototype.resume;
Gdbserver.prototype.resume = function (p) {
  if (!/^(qs|qS|g$|G)/.test(p)) log.push(`-> ${p.slice(0, 100)}`);
  const r = send.call(this, p);
  r.then(
    (x) => /^(qs|qS|g$|G)/.test(p) || log.push(`<- ${p.slice(0, 20)}: ${x.slice(0, 160)}`),
    (e) => log.push(`!! ${e}`),
  );
  return r;
};
const ss = Session.prototype.send;
Session.prototype.send = function (m) {
  if (m.kind === 'packet') log.push(`   C: ${JSON.stringify(m).slice(0, 200)}`);
  return ss.call(this, m);
};
let job: Debuggee;
afterEach(() => job?.close());
afterAll(removePrograms);
test('x', async () => {
  for (let k = 0; k < 6; k++) {
    log.length = 0;
    const [count, rounds] = [6, 400];
    job = await Debuggee.launch([program('threads'), `${count}`, `${rounds}`, '1000']);
    const stubbed = await job.debug();
    const gdb = await stubbed.gdb();
    await gdb.do('break beat if n % 20 == 0');
    job.start();
    let hits = 0;
    let text = '';
    let bad = false;
    const playing = (async () => {
      while (!text.includes('exited')) {
        text = await gdb.send('continue').answer(10_000);
        if (text.includes('beat (me=')) hits++;
        else if (!text.includes('exited normally')) {
          console.log(text);
          console.log(log.slice(log.findIndex((l) => l.includes('vCont;c'))-10).slice(0,150).join('\n'));
          bad = true;
          return;
        }
      }
    })();
    let moves = 0;
    for (; moves < 100 && !stubbed.ended && !bad; moves++) {
      log.push('=== move ' + hits);
      await job.move().catch((error) => {
        if (!stubbed.ended) throw error;
      });
      await sleep(Math.random() * 25);
    }
    await playing.catch((e) => {
      bad = true;
      console.log(gdb.all.slice(-600));
      console.log(log.slice(log.findIndex((l) => l.includes('vCont;c'))-10).slice(0,150).join('\n'));
    });
    console.log(k, moves, hits);
    console.log((globalThis as any).conn?.slice(-40).join('\n'));
    if (bad) break;
    await job.close();
  }
}, 180_000);

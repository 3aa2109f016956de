import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
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
    (x) => /^(qs|qS|g$|G)/.test(p) || log.push(`<- ${p.slice(0, 20)}: ${x.slice(0, 160)}${frameOf(x)}`),
    (e) => log.push(`!! ${e}`),
  );
  return r;
};
const ss = Session.prototype.send;
Session.prototype.send = function (m) {
  if (m.kind === 'packet') log.push(`   C: ${JSON.stringify(m).slice(0, 200)}`);
  return ss.call(this, m);
};
let job: Debuggee; let thePid = 0;
function frameOf(x: string): string {
  const m = /06:([0-9a-f]{16}).*10:([0-9a-f]{16})/.exec(x); if (!m) return '';
  const rbp = Number(Buffer.from(m[1]!, 'hex').readBigUInt64LE());
  try { const fd = openSync(`/proc/${thePid}/mem`, 'r'); const b = Buffer.alloc(16); readSync(fd, b, 0, 16, rbp - 0x60); closeSync(fd); return ` [${b.readBigInt64LE(0)} ${b.readBigInt64LE(8)}]`; } catch (e) { return String(e); }
}

afterEach(() => job?.close());
afterAll(removePrograms);
test('x', async () => {
  for (let k = 0; k < 6; k++) {
    log.length = 0;
    const [count, rounds] = [6, 400];
    job = await Debuggee.launch([program('threads'), `${count}`, `${rounds}`, '1000']);
    const stubbed = await job.debug();
    thePid = stubbed.pid;
    const gdb = await stubbed.gdb();
    await gdb.do('break beat if n % 20 == 0');
    job.start();
    let hits = 0;
    let text = '';
    let bad = false; const seen = new Set<string>();
    const playing = (async () => {
      while (!text.includes('exited')) {
        text = await gdb.send('continue').answer(10_000);
        const mm = /beat \(me=(\d+), n=(\d+)/.exec(text); if (mm) { hits++; seen.add(mm[1]+' '+mm[2]); log.push('HIT '+mm[1]+' '+mm[2]); }
        else if (!text.includes('exited normally')) {
          console.log(text);
          console.log(log.slice(log.findIndex((l) => l.startsWith('-> vCont;c:'))-10).filter((l) => !/Hgp2|OK$/.test(l)).slice(0,200).join('\n'));
          bad = true;
          return;
        }
      }
    })();
    let moves = 0;
    for (; moves < 100 && !stubbed.ended && !bad; moves++) {
      log.push('=== move ' + hits);
      await job.move().catch((error) => {
        if (!stubbed.ended) { bad = true; console.log('FAILED', String(error)); console.log(log.filter((l) => !/Hgp2|OK$|qfTh|payload":"OK|m[0-9a-f]+,/.test(l)).slice(-90).join('\n')); gdb.kill(); console.log(readFileSync(job.folder + '/status', 'utf8')); }
      });
      await sleep(Math.random() * 25);
    }
    await playing.catch((e) => {
      bad = true;
      console.log(gdb.all.slice(-600));
      console.log(log.slice(log.findIndex((l) => l.startsWith('-> vCont;c:'))-10).filter((l) => !/Hgp2|OK$/.test(l)).slice(0,200).join('\n'));
    });
    console.log(k, moves, hits);
    console.log((globalThis as any).conn?.slice(-40).join('\n'));
    const rep = log.filter((l) => /^<- vCont;c.*swbreak/.test(l)); console.log('reported', rep.length, 'false', rep.filter((l) => { const m = /\[(\d+) (\d)\]/.exec(l); return m && Number(m[1]) % 20 !== 0; }).length);
    if (bad || hits !== 120 || job.read().split('\n').length !== 2401) { console.log('BAD', job.read().split('\n').length);
      for (let t = 0; t < count; t++) for (let n = 20; n <= 400; n += 20) if (!seen.has(t + ' ' + n)) {
        console.log('MISSING', t, n);
        const last = log.findLastIndex((l) => l.includes(`[${n} ${t}]`)); const first = log.findIndex((l) => l.includes(`[${n} ${t}]`));
        console.log(first, last, log.slice(Math.max(0, (first < 0 ? log.indexOf(`HIT ${t} ${n-20}`) : first - 40)), (last < 0 ? log.indexOf(`HIT ${t} ${n+20}`) : last + 40)).filter((l) => !/Hgp2|OK$|qfTh|payload":"OK|m[0-9a-f]+,|QProg|NoAck|gdbserver ended/.test(l)).join('\n'));
      }
      break; }
    await job.close();
  }
}, 180_000);

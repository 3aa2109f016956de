/** gdb's own command line, timed from within, so that the pipe to it does not count. */
import { Gdb } from '../../support/gdb';

const TIMER = [
  'python',
  'import time',
  'def timed(count, command):',
  '  times = []',
  '  for _ in range(count):',
  '    begun = time.perf_counter()',
  '    gdb.execute(command, to_string=True)',
  '    times.append((time.perf_counter() - begun) * 1000)',
  '  print(*times)',
  'end',
].join('\n');

export async function standing(gdb: Gdb, place: string): Promise<Gdb> {
  await gdb.ready();
  await gdb.do(TIMER);
  await gdb.do(`tbreak ${place}`);
  await gdb.do('continue');
  return gdb;
}

export const plainGdb = (socket: string, program: string) =>
  new Gdb(['gdb', '-q', '-nx', '-ex', 'set sysroot /', '-ex', `target remote ${socket}`, program]);

export const timed =
  (gdb: Gdb, command: string) =>
  async (count: number): Promise<number[]> => {
    const answer = await gdb.do(`python timed(${count}, ${JSON.stringify(command)})`);
    const times = /^[\d.]+(?: [\d.e-]+)*$/m.exec(answer)?.[0].split(' ').map(Number);
    if (times?.length !== count) throw new Error(`gdb answered ${command} with: ${answer}`);
    return times;
  };

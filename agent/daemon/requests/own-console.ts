/** A job's console, at its home. */
import { stat } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ClientContract } from '../../api/client-contract';
import type { Params, Result } from '../../api/contract';
import type { TicketOptions, Tickets } from '../../wire/tickets';
import { readConsole } from '../jobs/console';
import type { Home } from '../jobs/home';
import type { Layout } from '../jobs/layout';

export interface ConsoleParts {
  home: Home;
  layout: Layout;
  tickets: Tickets;
}

/** @param whose the node that opens the stream, and the user on whose account it is */
export async function openConsole(
  { home, layout, tickets }: ConsoleParts,
  { job: id, offset, follow }: Params<ClientContract, 'jobs.console'>,
  whose: TicketOptions,
): Promise<Result<ClientContract, 'jobs.console'>> {
  const tty = (await home.job(id)).spec.tty !== undefined;
  let over = await home.isOver(id);
  home.onEnd(id, () => {
    over = true;
  });
  const path = layout.console(id);
  const from = await home.consoles.keptFrom(id);
  const { size } = await stat(path);
  const reading = {
    path,
    offset: Math.max(offset, from),
    over: follow ? () => over : undefined,
    keptFrom: home.consoles.keptNow(id, from),
  };
  const read = async (stream: Duplex) => {
    stream.resume();
    // There is nothing to be read before, and looking costs something.
    if (follow) await begun(home, id, stream);
    await pipeline(readConsole(reading), stream);
  };
  return { ticket: tickets.issue(read, whose), id, from, size, tty };
}

/** Until the job's turn in the queue has come, or the reader has gone. */
async function begun(home: Home, id: string, stream: Duplex): Promise<void> {
  const gone = new AbortController();
  const leave = () => gone.abort();
  stream.once('close', leave);
  await home.begun(id, gone.signal).finally(() => stream.off('close', leave));
}

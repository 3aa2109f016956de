/** Another machine becomes a node: brought all that it needs by ssh, and joined there; or nothing is left on it. */
import { z } from 'zod';
import { parseJson, parseWith } from '../../api/schema';
import type { JoinedNode } from '../join';
import { allOrNothing } from '../undoing';
import { bringPrograms, makeFit, takeAway } from './bringing';
import { Connection } from './connection';
import { nodeAlready } from './errors';
import { COMMAND, lookAt } from './remote-machine';

export interface AddRequest {
  /** `[USER@]HOST`, as ssh has it, and options for ssh. */
  host: string;
  sshOptions: string[];
  name?: string | undefined;
  listen?: string | undefined;
  service: boolean;
}

export interface Bringer {
  /** What is installed here. */
  programs: { node: string; agent: string };
  version: string;
  /** A token, got when all else is done. */
  token: () => Promise<string>;
  /** Told of each thing that is done; may throw, which undoes it all. */
  step: (what: string) => void;
  /** Cuts off what takes long. */
  signal: AbortSignal;
}

const Joined = z.object({ name: z.string(), address: z.string(), socket: z.string() });

/**
 * The machine is a node and answers, or nothing that was brought is left.
 * @throws GodwitError `no-ssh`, `ssh-lost`, `other-machine`, `no-rights`, `joined-already`, `checks-failed`,
 *   `remote-failed` with what its own `cluster join` says
 */
export async function addMachine(request: AddRequest, bringer: Bringer): Promise<JoinedNode> {
  const { host, sshOptions } = request;
  const { step } = bringer;
  const connection = await Connection.open(host, sshOptions);
  try {
    step(`connected to ${host}`);
    return await allOrNothing(async (undoing) => {
      const there = await lookAt(connection);
      if (there.node) throw nodeAlready(host);
      if (there.brought) await takeAway(connection, 'brought');
      const own = there.command && !there.brought ? there.command : null;
      // Whether the two understand each other is found out when it joins.
      if (own) step(`${host} has Godwit ${there.version ?? 'of no version'}`);
      else {
        undoing.onFailure(() => takeAway(connection, 'brought'));
        step(`bringing Godwit ${bringer.version} to ${host}`);
        await bringPrograms(connection, bringer.programs, bringer.signal);
      }
      const command = own ?? COMMAND;
      step(`looking at what ${host} has`);
      await makeFit(connection, command, bringer);
      step(`joining ${host}`);
      const node = await joinThere(connection, command, request, bringer);
      // What was cancelled meanwhile ends here.
      undoing.onFailure(() => leaveAgain(connection, command));
      step(`${node.name} has joined`);
      return node;
    });
  } finally {
    await connection.close();
  }
}

/** The token goes by standard input: everybody at a machine sees the arguments of its commands. */
async function joinThere(
  connection: Connection,
  command: string,
  { name, listen, service }: AddRequest,
  { token, step }: Bringer,
): Promise<JoinedNode> {
  const options = [
    ...(name ? ['--name', name] : []),
    ...(listen ? ['--listen', listen] : []),
    ...(service ? [] : ['--no-service']),
  ];
  const what = '`godwit cluster join`';
  const text = await connection.run({
    what,
    script: `exec ${command} cluster join - --json "$@"`,
    args: options,
    input: `${await token()}\n`,
    onLine: (line) => tell(step, `${connection.host}: ${line}`),
  });
  return parseWith(Joined, parseJson(what, text), what);
}

const leaveAgain = (connection: Connection, command: string) =>
  connection.run({ what: '`godwit cluster leave`', script: `exec ${command} cluster leave` });

/** What is under way there is let to its end: whether it was cancelled is looked at after it. */
function tell(step: Bringer['step'], what: string): void {
  try {
    step(what);
  } catch {
    // Said again by the next step.
  }
}

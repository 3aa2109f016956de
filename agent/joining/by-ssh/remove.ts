/** A node is one no more, and has nothing of Godwit on it: what `add.ts` does, the other way round. */
import { z } from 'zod';
import { parseJson, parseWith } from '../../api/schema';
import { takeAway } from './bringing';
import { Connection } from './connection';
import { otherNode } from './errors';
import { COMMAND, lookAt } from './remote-machine';

export interface UninstallRequest {
  node: string;
  host: string;
  sshOptions: string[];
  force: boolean;
}

const Status = z.object({ name: z.string() });
const Left = z.object({ unheard: z.array(z.string()) });

/** @throws GodwitError as `addMachine`, `other-node`, and what its own `cluster leave` says: then it is left as it is */
export async function uninstallNode(
  { node, host, sshOptions, force }: UninstallRequest,
  step: (what: string) => void,
): Promise<{ unheard: string[] }> {
  const connection = await Connection.open(host, sshOptions);
  try {
    step(`connected to ${host}`);
    const there = await lookAt(connection);
    const command = there.command ?? COMMAND;
    const unheard = there.node ? await leave(connection, command, { node, force }, step) : [];
    if (there.brought) await takeAway(connection, 'all');
    else if (there.command) await purge(connection);
    step(`took Godwit away from ${host}`);
    return { unheard };
  } finally {
    await connection.close();
  }
}

async function leave(
  connection: Connection,
  command: string,
  { node, force }: Pick<UninstallRequest, 'node' | 'force'>,
  step: (what: string) => void,
): Promise<string[]> {
  const status = '`godwit cluster status`';
  const script = `exec ${command} cluster status --json`;
  const is = parseWith(Status, parseJson(status, await connection.run({ what: status, script })), status);
  if (is.name !== node) throw otherNode(connection.host, is.name, node);
  const what = '`godwit cluster leave`';
  const text = await connection.run({
    what,
    script: `exec ${command} cluster leave --json "$@"`,
    args: force ? ['--force'] : [],
    onLine: (line) => step(`${connection.host}: ${line}`),
  });
  return parseWith(Left, parseJson(what, text), what).unheard;
}

/** Of a machine that has a package: with its state, its group, and the CRIU that was got for it. */
const purge = (connection: Connection) =>
  connection.run({
    what: 'purging the package',
    script: 'DEBIAN_FRONTEND=noninteractive exec apt-get -qq -oDpkg::Use-Pty=0 purge -y godwit >&2',
  });

/** What another machine is, asked over a connection before anything is changed on it. */
import { machine } from 'node:os';
import { z } from 'zod';
import { DEFAULT_CONFIG } from '../../api/config';
import { parseWith } from '../../api/schema';
import type { Connection } from './connection';
import { noRights, otherKind, remoteFailed } from './errors';

/** Where `cluster add` puts what it brings, unless the machine has a package: a list of what was brought is in it. */
export const PLACE = '/usr/local/lib/godwit';
export const COMMAND = '/usr/local/bin/godwit';
export const BROUGHT = `${PLACE}/brought`;

/** Before each line: a person's shell may print more when it starts. */
const MARK = 'godwit-machine: ';

const LOOK = `say() { echo "${MARK}$1=$2"; }
say system "$(uname -s)"; say machine "$(uname -m)"; say uid "$(id -u)"
if [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; then say root yes; else say root no; fi`;

const LOOK_AS_ROOT = `say() { echo "${MARK}$1=$2"; }
for command in /usr/bin/godwit ${COMMAND}; do
  [ -x $command ] || continue
  say command $command; say version "$($command --version)"; break
done
if [ -e ${BROUGHT} ] || [ -e ${PLACE}.new ]; then say brought yes; fi
if [ -e ${DEFAULT_CONFIG} ] && grep -q '"tls"' ${DEFAULT_CONFIG}; then say node yes; fi`;

const Facts = z.object({
  system: z.string().max(100),
  machine: z.string().max(100),
  uid: z.string().regex(/^\d{1,10}$/),
  root: z.enum(['yes', 'no']),
});
const Installed = z.object({
  command: z.enum(['/usr/bin/godwit', COMMAND]).optional(),
  version: z.string().max(100).optional(),
  brought: z.literal('yes').optional(),
  node: z.literal('yes').optional(),
});
export type Installed = z.infer<typeof Installed>;

/**
 * A machine that could be a node, its connection with root's rights.
 * @throws GodwitError `other-machine`, `no-rights`, `remote-failed`, `bad-message`
 */
export async function lookAt(connection: Connection): Promise<Installed> {
  const { host } = connection;
  const asked = await ask(connection, LOOK, false);
  const facts = parseWith(Facts, asked, `what ${host} says it is`);
  const ours = `Linux ${machine()}`;
  if (`${facts.system} ${facts.machine}` !== ours)
    throw otherKind(host, `${facts.system} ${facts.machine}`, ours);
  if (facts.root === 'no') throw noRights(host);
  if (facts.uid !== '0') connection.useSudo();
  return parseWith(Installed, await ask(connection, LOOK_AS_ROOT, true), `what ${host} says it has`);
}

async function ask(connection: Connection, script: string, asRoot: boolean) {
  const text = await connection.run({ what: 'looking at the machine', script, asRoot });
  const lines = text.split('\n').filter((line) => line.startsWith(MARK));
  if (text.trim() && lines.length === 0 && !asRoot)
    throw remoteFailed(connection.host, 'looking at the machine', 'its shell is not like sh(1)');
  const pairs = lines.map((line) => line.slice(MARK.length).split(/=(.*)/s).slice(0, 2));
  return Object.fromEntries(pairs);
}

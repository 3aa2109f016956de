/**
 * What another machine is brought: Godwit as it is installed here, the Node.js that it runs on, and what doctor misses
 * there. A list of it stays there, so that all of it can be taken away again, also by another.
 */
import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { parseJson, parseWith } from '../../api/schema';
import { CRIU_FOLDER, carriedCriu, nodePrograms } from '../node-programs';
import type { Connection } from './connection';
import { unfit } from './errors';
import { BROUGHT, COMMAND, PLACE } from './remote-machine';

const STATE = '/var/lib/godwit';

const UNPACK = `umask 022; rm -rf ${PLACE}.new; mkdir -p ${PLACE}.new ${dirname(COMMAND)}
tar -xzf - --no-same-owner -C ${PLACE}.new
: >${PLACE}.new/brought; mv -T ${PLACE}.new ${PLACE}
printf '#!/bin/sh\\nexec ${PLACE}/node ${PLACE}/godwit.cjs "$@"\\n' >${COMMAND}.new
chmod 755 ${COMMAND}.new; mv ${COMMAND}.new ${COMMAND}`;

/** Also what came along with what was asked for is on the list, also where the installation fails. */
const INSTALL = `installed() { dpkg-query -W -f '\${db:Status-Abbrev} \${Package}\\n' | sed -n 's/^i. //p' | sort; }
installed >${PLACE}/before
note() { installed | comm -13 ${PLACE}/before - | sed 's/^/package /' >>${BROUGHT}; rm ${PLACE}/before; }
trap note EXIT
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update >&2 || true
apt-get -qq -oDpkg::Use-Pty=0 install -y --no-install-recommends "$@" >&2`;

const UNPACK_CRIU = `[ ! -e ${CRIU_FOLDER} ]; echo criu >>${BROUGHT}; umask 022; mkdir -p ${CRIU_FOLDER}
tar -xzf - --no-same-owner -C ${CRIU_FOLDER}`;

/** Below a mount point are other files: those stay, and it is said. */
const TAKE_AWAY = `if [ -e ${BROUGHT} ]; then
  packages=$(sed -n 's/^package //p' ${BROUGHT})
  # Not by apt-get, which would take away with them what has come since and needs them.
  [ -z "$packages" ] || DEBIAN_FRONTEND=noninteractive dpkg --purge $packages >&2 || echo "packages stay" >&2
  if grep -qx criu ${BROUGHT}; then rm -rf --one-file-system ${CRIU_FOLDER}; fi
fi
if [ -e ${BROUGHT} ] || [ -e ${PLACE}.new ]; then rm -rf ${PLACE} ${PLACE}.new ${COMMAND} ${COMMAND}.new; fi
if [ "$1" = all ]; then
  if cut -d' ' -f5 /proc/self/mountinfo | grep -q '^${STATE}/node/'; then
    echo "something is mounted below ${STATE}/node, which stays" >&2
  else rm -rf --one-file-system ${STATE}/node; fi
fi
rmdir ${STATE} /etc/godwit /run/godwit 2>/dev/null || true`;

/** Godwit and its Node.js. */
export async function bringPrograms(
  connection: Connection,
  { node, agent }: { node: string; agent: string },
  signal: AbortSignal,
): Promise<void> {
  const folder = dirname(agent);
  const files = await nodePrograms(folder);
  const input = packed(['-C', folder, ...files, '-C', dirname(node), 'node']);
  await connection.run({ what: 'bringing Godwit', script: `set -e\n${UNPACK}`, input, signal });
}

/** Takes away what was brought; with `all` what the node has kept as well. Nothing of it is no error. */
export async function takeAway(connection: Connection, what: 'brought' | 'all'): Promise<void> {
  await connection.run({
    what: 'taking away what was brought',
    script: `set -e\n${TAKE_AWAY}`,
    args: [what],
  });
}

/** Doctor's checks that a package of Debian answers. */
const PACKAGES: Readonly<Record<string, string>> = {
  gdb: 'gdb',
  gdbserver: 'gdbserver',
  ip: 'iproute2',
  nsenter: 'util-linux',
  openssl: 'openssl',
  tar: 'tar',
  gzip: 'gzip',
};

const Checks = z.array(
  z.object({ check: z.string(), ok: z.boolean(), found: z.string(), fix: z.string().nullable() }),
);
type Failed = z.infer<typeof Checks>;

/**
 * Has doctor look, and brings what it misses and can be brought.
 * @throws GodwitError `checks-failed` with what is still amiss
 */
export async function makeFit(
  connection: Connection,
  command: string,
  { step, signal }: { step: (what: string) => void; signal: AbortSignal },
): Promise<void> {
  const amiss = await examine(connection, command);
  const packages = amiss.flatMap(({ check }) => PACKAGES[check] ?? []);
  // A machine's own packages are left to who has installed Godwit there.
  const ours = command === COMMAND;
  if (ours && packages.length > 0) {
    step(`installing ${packages.join(', ')} at ${connection.host}`);
    await connection.run({
      what: `installing ${packages.join(', ')}`,
      script: `set -e\n${INSTALL}`,
      args: packages,
    });
  }
  if (ours && amiss.some(({ check }) => check === 'criu')) await bringCriu(connection, { step, signal });
  const still = amiss.length > 0 ? await examine(connection, command) : [];
  if (still.length > 0) throw unfit(connection.host, still);
}

async function examine(connection: Connection, command: string): Promise<Failed> {
  const script = `${command} doctor --json || [ $? = 1 ]`;
  const text = await connection.run({ what: '`godwit doctor`', script });
  const what = `what doctor says at ${connection.host}`;
  return parseWith(Checks, parseJson(what, text), what).filter(({ ok }) => !ok);
}

/** The one in a folder of its own has its libraries with it, and needs nothing of the machine. */
async function bringCriu(
  connection: Connection,
  { step, signal }: { step: (what: string) => void; signal: AbortSignal },
): Promise<void> {
  const criu = await carriedCriu();
  if (!criu) return;
  step(`bringing CRIU ${criu.version} to ${connection.host}`);
  const input = packed(['-C', CRIU_FOLDER, ...criu.parts]);
  await connection.run({ what: 'bringing CRIU', script: `set -e\n${UNPACK_CRIU}`, input, signal });
}

/** Quick rather than small: most of it goes over a network that is quicker than a better packer. */
function packed(what: string[]): Readable {
  const tar = spawn('tar', ['-c', '-I', 'gzip -1', '-f', '-', ...what], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  tar.on('error', (error) => tar.stdout.destroy(error));
  return tar.stdout;
}

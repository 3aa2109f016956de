/** Open MPI, as it has to be set so that each of its daemons is a job of its own, with an address that moves with it. */
import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { GodwitError } from '../../api/errors';

/** On a machine that is very busy a program may take that long to say its version. */
const VERSION_MS = 60_000;
/** The series that its daemons' options are known of. */
const SERIES = '4';
/** The one interface of a job with an address of its own (network/interface.ts). */
const INTERFACE = 'eth0';

/**
 * What must be so, as variables that Open MPI reads (`--mca` in its manual): its own way to start daemons is not Slurm's or
 * another's, each is started by mpirun itself and stays in the foreground, since a job is over when its program is.
 */
const REQUIRED = {
  OMPI_MCA_plm: 'rsh',
  OMPI_MCA_plm_rsh_no_tree_spawn: '1',
  OMPI_MCA_orte_leave_session_attached: '1',
} as const;

/** What works through moves; a person may set it otherwise. */
const USUAL = {
  // Which nodes there are is said by --on.
  OMPI_MCA_ras: '^slurm,tm,gridengine',
  // Connections over the jobs' own addresses move with them; what goes through a device does not.
  OMPI_MCA_pml: 'ob1',
  OMPI_MCA_btl: 'tcp,self',
  OMPI_MCA_btl_tcp_if_include: INTERFACE,
  OMPI_MCA_oob_tcp_if_include: INTERFACE,
  // A session's files and PMIx's data stay in the job: not on the home's disk, nor in memory that is shared by a file there.
  OMPI_MCA_orte_tmpdir_base: '/dev/shm',
  PMIX_MCA_gds: 'hash',
  // Where a job comes to, other cores are free.
  OMPI_MCA_hwloc_base_binding_policy: 'none',
} as const;

/** @param agent what starts a daemon: Open MPI takes it apart at spaces, and adds a host's name and a command */
export const settings = (env: NodeJS.ProcessEnv, agent: readonly string[]): Record<string, string> => {
  const spaced = agent.find((word) => /\s/.test(word));
  if (spaced !== undefined) throw spacedPath(spaced);
  return {
    ...USUAL,
    ...(env as Record<string, string>),
    ...REQUIRED,
    OMPI_MCA_plm_rsh_agent: agent.join(' '),
  };
};

/** mpirun of this machine. @throws `no-open-mpi`, `other-mpi` */
export async function findMpirun(path: string | undefined): Promise<string> {
  for (const folder of (path ?? '').split(':').filter(Boolean)) {
    const file = join(folder, 'mpirun');
    if (
      !(await access(file, constants.X_OK).then(
        () => true,
        () => false,
      ))
    )
      continue;
    const { stdout } = await promisify(execFile)(file, ['--version'], { timeout: VERSION_MS }).catch(
      (error: { stdout?: string }) => ({ stdout: error.stdout ?? '' }),
    );
    const [, major] = /\(Open MPI\) (\d+)\./.exec(stdout) ?? [];
    if (major !== SERIES) throw otherMpi(file, stdout.split('\n')[0] ?? '');
    return file;
  }
  throw noOpenMpi();
}

const INSTALL =
  'on Debian and Ubuntu: apt-get install openmpi-bin; programs are built with mpicc of libopenmpi-dev';

const noOpenMpi = () =>
  new GodwitError({ code: 'no-open-mpi', message: 'there is no mpirun in PATH', fix: INSTALL });

const otherMpi = (file: string, said: string) =>
  new GodwitError({
    code: 'other-mpi',
    message: `${file} is none of Open MPI ${SERIES}: it says ${JSON.stringify(said.slice(0, 100))}`,
    fix: INSTALL,
  });

const spacedPath = (path: string) =>
  new GodwitError({
    code: 'spaced-path',
    message: `Open MPI can't start ${JSON.stringify(path)}: it takes commands apart at spaces`,
    fix: 'install Godwit in a folder without one',
  });

/** What can go wrong in a debug session. Each sentence is shown to the person who debugs. */
import { GodwitError } from '../agent/api/errors';

export const wrongArguments = (request: string, complaints: string[]) =>
  new GodwitError({
    code: 'wrong-arguments',
    message: `this ${request} configuration is not valid: ${complaints.join('; ')}`,
    fix: 'correct it in launch.json',
  });

export const noGdb = (gdb: string, why: string) =>
  new GodwitError({
    code: 'no-gdb',
    message: `gdb can't be started as "${gdb}": ${why}`,
    fix: 'install gdb, or give its path as "gdb" in launch.json',
  });

export const gdbFailed = (why: string) =>
  new GodwitError({ code: 'gdb-failed', message: `gdb could not be attached: ${why}` });

export const valuesRefused = (why: string) => new GodwitError({ code: 'no-values', message: why });

export const gdbGone = (how: string, job: string) =>
  new GodwitError({
    code: 'gdb-gone',
    message: `gdb ${how}; job ${job} runs on without a debugger`,
    fix: 'attach to it again',
  });

export const lineGone = (why: string, job: string) =>
  new GodwitError({
    code: 'line-gone',
    message: `the debugger lost job ${job}: ${why}`,
    fix: 'if it still runs, attach to it again',
  });

export const jobLost = (job: string, why: string | undefined) =>
  new GodwitError({
    code: 'job-lost',
    message: `job ${job} is lost${why ? `: ${why}` : ''}`,
    fix: 'see the migration timeline, or `godwit history`, for how',
  });

export const notRestartable = () =>
  new GodwitError({
    code: 'not-restartable',
    message: 'only a session that has launched its program can begin it anew',
    fix: 'end the session and begin it again',
  });

export const wontEnd = (job: string) =>
  new GodwitError({
    code: 'job-not-ended',
    message: `job ${job} was killed to begin anew and is not known to have ended`,
    fix: 'see with `godwit ps` whether its node answers, then launch it again',
  });

export const notDebugging = () =>
  new GodwitError({ code: 'not-debugging', message: 'this session has no job (any more)' });

export const noPython = (why: string) =>
  new GodwitError({
    code: 'no-python',
    message: `this gdb can't serve as a debugger here, which takes Python and gdb 12 or newer: ${why}`,
    fix: 'install a gdb with Python, or give its path as "gdb" in launch.json',
  });

export const noEnvFile = (file: string, why: string) =>
  new GodwitError({
    code: 'no-env-file',
    message: `the variables of ${file} can't be read: ${why}`,
    fix: 'correct "envFile" in launch.json',
  });

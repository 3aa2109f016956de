/** What a launch.json may say to the debug type `godwit`. */
import { z } from 'zod';
import { JobReference } from '../../agent/api/client-contract';
import { HostName, Limits } from '../../agent/api/model';
import { wrongArguments } from '../errors';

const common = {
  /** The socket of the agent to ask; the one that the command would ask if absent. */
  agent: z.string().min(1).optional(),
  /** The gdb to use: a path, or a name that is looked for in PATH. */
  gdb: z.string().min(1).default('gdb'),
  /**
   * Where the job's output is shown: by this session, by a panel of the editor's, or in a terminal that it gets, of the
   * extension's or (the last two) of any editor's that runs commands in one.
   */
  console: z
    .enum(['debugConsole', 'panel', 'terminal', 'integratedTerminal', 'externalTerminal'])
    .default('debugConsole'),
  /** Commands of gdb's (or of MI's) before it looks at the program. */
  setupCommands: z
    .array(
      z.union([
        z
          .string()
          .min(1)
          .transform((text) => ({ text, ignoreFailures: undefined })),
        z.object({
          text: z.string().min(1),
          description: z.string().optional(),
          ignoreFailures: z.boolean().optional(),
        }),
      ]),
    )
    .default([]),
  /** Folders that the program was built in, and where their files are. */
  sourceFileMap: z.record(z.string().min(1), z.string().min(1)).default({}),
  /** Each child process gets a session of its own, before its first instruction. */
  followChildren: z.boolean().default(false),
  /** It stops there: at the fork, or at the beginning of main. */
  stopInChildren: z.boolean().default(false),
};

export const LaunchArguments = z.object({
  ...common,
  /** What a program has left that ended before: that is looked at, and nothing is launched. */
  coreFile: z.string().min(1).optional(),
  /** A path, relative ones to `cwd`; without a slash it is looked for in PATH. */
  program: z.string().min(1),
  args: z.array(z.string()).default([]),
  /** The program's folder by default. */
  cwd: z.string().startsWith('/').optional(),
  /** On top of this process's environment; `null` takes a variable away. */
  env: z.record(z.string(), z.string().nullable()).default({}),
  /** A file with more variables, a `NAME=value` each line; those of `env` count before them. */
  envFile: z.string().min(1).optional(),
  /** `best`, `home`, or a node's name. */
  node: z.string().min(1).default('best'),
  /** The job's name. (`name` is the configuration's.) */
  jobName: z.string().min(1).max(200).optional(),
  /** What it may use, all its processes together: CPUs, bytes of memory, processes and threads. */
  ...Limits.shape,
  /** The host name that it sees; that of its home if absent. */
  hostname: HostName.optional(),
  /** It may use io_uring; while it does, it can't be moved. */
  allowIoUring: z.boolean().default(false),
  stopAtEntry: z.boolean().default(false),
});
export type LaunchArguments = z.infer<typeof LaunchArguments>;

export const AttachArguments = z.object({
  ...common,
  job: JobReference,
  /** A process inside the job, by its pid in there; the program itself if absent. */
  process: z.int().min(1).optional(),
});

/** As a session asks for it, of an editor, for a child of its program. */
export const ChildArguments = AttachArguments.extend({
  /** From the session of its parent: the stub that waits there, and the program that is about to begin, if any. */
  __child: z.object({ session: z.uuid(), program: z.string() }).optional(),
});
export type AttachArguments = z.infer<typeof AttachArguments>;

export const MigrateArguments = z.object({ node: z.string().min(1) });

/** @throws GodwitError `wrong-arguments`, naming each argument that is wrong */
export function parseArguments<S extends z.ZodType>(schema: S, request: string, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value ?? {}, { reportInput: true });
  if (parsed.success) return parsed.data;
  throw wrongArguments(request, parsed.error.issues.map(complaint));
}

/** As a person would say it: `"args" must be a list, not a text`. */
function complaint(issue: z.core.$ZodIssue): string {
  const [first, ...rest] = issue.path;
  const where = `"${[first, ...rest].map(String).join('.')}"`;
  if (issue.code === 'invalid_type') {
    if (issue.input === undefined) return `${where} is missing`;
    return `${where} must be ${named(issue.expected)}, not ${named(kindOf(issue.input))}`;
  }
  if (issue.code === 'invalid_value')
    return `${where} must be one of ${issue.values.map((value) => `"${String(value)}"`).join(', ')}`;
  if (issue.code === 'too_small') return `${where} must not be empty`;
  if (issue.code === 'invalid_format' && issue.format === 'starts_with')
    return `${where} must be an absolute path`;
  return `${where}: ${issue.message}`;
}

const kindOf = (value: unknown) => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value);

const NAMES: Record<string, string> = {
  array: 'a list',
  boolean: 'true or false',
  int: 'a whole number',
  number: 'a number',
  object: 'an object',
  record: 'an object',
  string: 'a text',
};
const named = (kind: string) => NAMES[kind] ?? kind;

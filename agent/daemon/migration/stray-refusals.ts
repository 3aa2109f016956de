/** What a person is told about a copy that has lost its home, or its host: what stands in the way, and the risk. */
import { GodwitError } from '../../api/errors';
import { age } from '../../api/figures';
import type { HeldFile } from '../../machine/proc/held-files';

/** What is told: which job, here on which node, of which home that has been silent for how long. */
export interface Told {
  job: string;
  node: string;
  home: string;
  silentMs: number;
}

/** Files that are named. */
const MOST_NAMED = 3;

const refused = (code: string, message: string, fix?: string) => new GodwitError({ code, message, fix });

export const beingDecided = (job: string) =>
  refused(
    'job-moving',
    `another request about the copy of job ${job} is not done yet`,
    'try again in a moment',
  );

export const homeNotDown = (job: string, home: string, silentMs: number) =>
  silentMs === 0
    ? refused(
        'home-answers',
        `${home}, the home of job ${job}, answers: it decides about its job`,
        `ask ${home}`,
      )
    : refused(
        'home-answers',
        `${home}, the home of job ${job}, has been silent for ${age(silentMs)} only, and may be back in a moment`,
        'wait until `godwit nodes` shows it as down',
      );

export const incomplete = (job: string) =>
  refused(
    'copy-incomplete',
    `the copy of job ${job} here is not whole: it was still arriving`,
    'adopt it where it came from; `godwit forget` clears this one away',
  );

export const busy = (job: string) =>
  refused('job-moving', `something is being done with the copy of job ${job} here`, 'try again in a moment');

export const noProcesses = (job: string, home: string) =>
  refused(
    'nothing-to-adopt',
    `no process of job ${job} is left here; ${home}, its home, is to hear of that when it answers`,
    '`godwit forget` clears away what is left',
  );

export const needsFiles = (job: string, home: string, held: HeldFile[]) => {
  const named = held.slice(0, MOST_NAMED).map(({ path, pid, comm }) => `${path} (process ${pid}, ${comm})`);
  const more = held.length > MOST_NAMED ? ` and ${held.length - MOST_NAMED} more` : '';
  return refused(
    'needs-home-files',
    `job ${job} can't go on without ${home}: it has files of it open or mapped: ${named.join(', ')}${more}`,
    `have ${home} come back, or clear the copy away with \`godwit forget\`; programs and data in folders that nodes share ("sharedPaths") need no home`,
  );
};

export const gone = (job: string, reason: string) =>
  refused('job-lost', `job ${job} was adopted, but nothing of it could run: ${reason}`);

const silent = ({ job, home, silentMs }: Told) =>
  `${home}, the home of job ${job}, has not answered for ${age(silentMs)}`;

const CONFIRM = 'if it is gone for good, do it with --yes';

export const adoptionNotConfirmed = (told: Told, runs: boolean) =>
  refused(
    'not-confirmed',
    `${silent(told)}. ${runs ? `If it is only cut off, it loses the job to ${told.node}` : 'If it is only cut off, another copy may be running: then there are two until they hear of each other, and what the other one has done is lost'}. What the job prints goes nowhere, and no path of ${told.home} can be opened by it any more`,
    CONFIRM,
  );

export const forgettingNotConfirmed = (told: Told) =>
  refused(
    'not-confirmed',
    `${silent(told)}. The copy on ${told.node} is ended, and may be the only one`,
    CONFIRM,
  );

export const adoptedReason = ({ node, home, silentMs }: Told) =>
  `a person let the copy on ${node} run on, ${home} having been silent for ${age(silentMs)}`;

export const forgottenReason = ({ node, home, silentMs }: Told) =>
  `a person cleared away the copy on ${node}, ${home} having been silent for ${age(silentMs)}`;

/** Of a job of this node's own, whose host or destination is gone. */
export const returnNotConfirmed = (job: string, gone: string, source: string, silentMs: number) =>
  refused(
    'not-confirmed',
    `${gone}, to which job ${job} was moving, has not answered for ${age(silentMs)}. The job may have run there: what it has done since is lost when the copy on ${source} runs again. If ${gone} is only cut off there are two until it hears of this, and then its copy is ended`,
    CONFIRM,
  );

export const lostReturnNotConfirmed = (job: string, source: string) =>
  refused(
    'not-confirmed',
    `job ${job} is lost, having run elsewhere: the copy on ${source} is as it was before the move, and may do again what it has done`,
    'if that is right, do it with --yes',
  );

export const givingUpNotConfirmed = (job: string, host: string, silentMs: number) =>
  refused(
    'not-confirmed',
    `${host}, the host of job ${job}, has not answered for ${age(silentMs)}. The job is given up: if ${host} comes back, what runs there is ended`,
    CONFIRM,
  );

export const frozenNotConfirmed = (job: string, source: string) =>
  refused(
    'not-confirmed',
    `the frozen copy of job ${job} on ${source} is ended, and may be the only one`,
    'if that is right, do it with --yes',
  );

export const notLeft = (job: string, why: string, fix?: string) =>
  refused('nothing-to-adopt', `no copy of job ${job} is left without its host: ${why}`, fix);

export const elsewhere = (job: string, home: string, node: string) =>
  refused(
    'not-here',
    `nothing of job ${job} is on this node: its home is ${home}, it runs on ${node}`,
    `ask ${home}, or the node that has the copy, with --agent`,
  );

export const runsThere = (job: string, host: string) =>
  refused('job-running', `job ${job} is on ${host}, which answers`, '`godwit kill` ends a job');

export const givenUpReason = (host: string, silentMs: number) =>
  `a person gave it up, its host ${host} having been silent for ${age(silentMs)}`;

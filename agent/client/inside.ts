/** Within a job: its programs ask through the job's own door, which is closed while the job moves. */

/** Is this the door of the job that this program is of? */
export const isOwnDoor = (socket: string): boolean =>
  Boolean(process.env.GODWIT_JOB) && socket === process.env.GODWIT_AGENT;

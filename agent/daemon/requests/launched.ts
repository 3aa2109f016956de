/** Answers of a node to a launch after which nothing of the job has come into being there, and that another may not give. */
export const NOT_LAUNCHED_THERE: ReadonlySet<string> = new Set([
  'ids-refused',
  'limit-unavailable',
  'no-network',
  'node-draining',
  'not-accepted',
  'root-jobs-refused',
]);

/** An array as it is found by what a person says: how all verbs come to its jobs. */
import { z } from 'zod';
import { list } from './bounded';
import { AllocationId, JobId, MOST_PARTS, Moment } from './model';

/** An array, and what there is of its jobs still, in their order. */
export const FoundArray = z.object({
  id: JobId,
  name: z.string(),
  /** How many it began with. */
  count: z.int(),
  jobs: list(
    z.object({
      id: JobId,
      name: z.string(),
      index: z.int(),
      stage: z.enum(['queued', 'living', 'over']),
    }),
    { most: MOST_PARTS },
  ),
});
export type FoundArray = z.infer<typeof FoundArray>;

/** Arrays of one name; a person who means more has to give an id. */
export const MOST_ARRAYS_MEANT = 8;

/** The same with what decides who sees it, and which is the latest. */
export const HomedArray = FoundArray.extend({
  user: z.string(),
  allocation: AllocationId.nullable(),
  /** When its first job was launched. */
  started: Moment,
});
export type HomedArray = z.infer<typeof HomedArray>;

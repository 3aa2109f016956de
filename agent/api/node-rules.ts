/** What people decide of a node: whether its jobs move by themselves, whether it is to be empty, how fast it is. */
import { z } from 'zod';

/** Of the reference machine's; beyond these it is a slip. */
const Speed = z.number().min(0.01).max(8);

export const NodeRules = z.object({
  /** The jobs that call it home move by themselves. */
  balancing: z.boolean().default(false),
  /** Its jobs are to leave, and none is to come. */
  draining: z.boolean().default(false),
  /** For what it measured of itself. */
  speed: Speed.nullable().default(null),
});
export type NodeRules = z.infer<typeof NodeRules>;

export const RuleChange = z.object({
  balancing: z.boolean().optional(),
  draining: z.boolean().optional(),
  speed: Speed.nullable().optional(),
});
export type RuleChange = z.infer<typeof RuleChange>;

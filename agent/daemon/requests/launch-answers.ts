/** What clients ask to be launched: one job, an array; at once, or when there is room. */
import type { ClientContract } from '../../api/client-contract';
import type { Caller, Handlers } from '../../api/contract';
import { type LaunchRequest, ROOT } from '../../api/model';
import type { Scopes } from '../allocations/scopes';
import { withinOwnLimits } from './launcher';
import type { Launching } from './launching';

export interface LaunchParts {
  launching: Launching;
  helper: string;
  scopes: Scopes;
}

export function launchAnswers({
  launching,
  helper,
  scopes,
}: LaunchParts): Pick<Handlers<ClientContract>, 'jobs.run' | 'jobs.runArray'> {
  /** With which limits, as whom, and where it may be. */
  const admitted = async <R extends LaunchRequest>(request: R, caller: Caller) =>
    [
      await withinOwnLimits(request, caller, helper),
      caller.user ?? ROOT,
      await scopes.placement(caller),
    ] as const;
  return {
    'jobs.run': async (request, caller) => launching.launch(...(await admitted(request, caller))),
    'jobs.runArray': async (request, caller) => launching.launchArray(...(await admitted(request, caller))),
  };
}

/** What a node answers its clients about allocations. */
import type { ClientContract } from '../../api/client-contract';
import type { Handlers } from '../../api/contract';
import { rootOnly } from '../../api/errors';
import type { Allocations } from '../allocations/allocations';
import type { Scopes } from '../allocations/scopes';
import type { Outliving } from '../jobs/outliving';
import { isRoot } from './rights';

export interface AllocationParts {
  allocations: Allocations;
  scopes: Scopes;
  outliving: Outliving;
}

export const allocationAnswers = ({
  allocations,
  scopes,
  outliving,
}: AllocationParts): Pick<Handlers<ClientContract>, 'allocation.enter' | 'allocation.end'> => ({
  'allocation.enter': ({ id }, caller) => ({ entered: scopes.enter(caller, id) }),
  'allocation.end': async ({ id }, { user }) => {
    if (!isRoot(user)) throw rootOnly("an allocation's end");
    allocations.end(id);
    return { ended: await outliving.end(id) };
  },
});

/** How the bench's table and picture call what was tried. */
import type { Plan, Row } from './trials';

export const NAMES: Record<Row['policy'], string> = {
  home: 'where it is launched',
  random: 'any node',
  idlest: 'the idlest node of all',
  placement: 'placed by cost',
  moves: 'launched anywhere, moved',
  balance: 'placed by cost, and moved',
  bound: 'one machine with all CPUs',
};

export const nameOf = ({ nodes, owners }: Plan) =>
  `${nodes.toLocaleString('en')} nodes${owners > 0 ? ', people at them' : ''}`;

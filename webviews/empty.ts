/** What is said where there is nothing to show yet: one sentence, and the command that helps. */
import { element } from './elements';
import type { Host } from './host';
import type { OfferedCommand } from './messages';

export interface Emptiness {
  sentence: string;
  commands: { command: OfferedCommand; title: string }[];
}

export const noCluster: Emptiness = {
  sentence:
    'No agent answers, so there is no cluster to show. Start one on this machine, or name your agent’s socket in the setting “godwit.agent”.',
  commands: [
    { command: 'godwit.startLocalCluster', title: 'Start Local Cluster' },
    { command: 'godwit.doctor', title: 'Doctor' },
  ],
};

export function emptyState(
  { sentence, commands }: Emptiness,
  host: Pick<Host<unknown>, 'send'>,
): HTMLElement {
  const buttons = commands.map(({ command, title }, index) => {
    const button = element('button', { type: 'button', class: index > 0 && 'secondary' }, title);
    button.addEventListener('click', () => host.send({ type: 'command', command }));
    return button;
  });
  return element(
    'div',
    { class: 'empty' },
    element('p', {}, sentence),
    element('p', { class: 'buttons' }, ...buttons),
  );
}

import { env, ThemeIcon, window } from 'vscode';
import { z } from 'zod';
import type { GodwitCommand } from '../command/godwit';

const Check = z.object({ check: z.string(), ok: z.boolean(), found: z.string(), fix: z.string().nullable() });
export type Check = z.infer<typeof Check>;

const COPY = { iconPath: new ThemeIcon('copy'), tooltip: 'Copy what to do' };

/** Shows what this machine has of all that an agent needs, and resolves with it. */
export async function doctor(command: GodwitCommand): Promise<Check[]> {
  // Failed checks are its answer, not its failure.
  const checks = await command.ask(z.array(Check), ['doctor'], { code: 'doctor-failed', evenIfFailed: true });
  show(checks);
  return checks;
}

function show(checks: Check[]): void {
  const failed = checks.filter(({ ok }) => !ok);
  const pick = window.createQuickPick();
  pick.title =
    failed.length === 0
      ? `This machine has all that an agent needs: ${checks.length} checks passed`
      : `${failed.length} of ${checks.length} checks failed`;
  pick.placeholder = failed.length === 0 ? 'All is well' : 'Each has its fix below it; Enter copies it';
  pick.matchOnDescription = true;
  pick.items = [...failed, ...checks.filter(({ ok }) => ok)].map(({ check, ok, found, fix }) => ({
    label: check,
    description: found,
    iconPath: new ThemeIcon(ok ? 'pass' : 'error'),
    ...(fix === null ? {} : { detail: fix, buttons: [COPY] }),
  }));
  const copy = async (fix: string | undefined) => {
    if (fix) {
      await env.clipboard.writeText(fix);
      window.setStatusBarMessage('Copied what to do', 3_000);
    }
    pick.hide();
  };
  pick.onDidTriggerItemButton(({ item }) => void copy(item.detail));
  pick.onDidAccept(() => void copy(pick.selectedItems[0]?.detail));
  pick.onDidHide(() => pick.dispose());
  pick.show();
}

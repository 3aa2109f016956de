import { env, ThemeIcon } from 'vscode';
import { z } from 'zod';
import { plain } from '../../agent/api/plain';
import type { GodwitCommand } from '../command/godwit';
import { createPick, mention, type PlainItem } from '../window';

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

interface CheckItem extends PlainItem {
  fix: string | null;
}

function show(checks: Check[]): void {
  const failed = checks.filter(({ ok }) => !ok);
  const pick = createPick<CheckItem>();
  pick.title = plain(
    failed.length === 0
      ? `This machine has all that an agent needs: ${checks.length} checks passed`
      : `${failed.length} of ${checks.length} checks failed`,
  );
  pick.placeholder = plain(
    failed.length === 0 ? 'All is well' : 'Each has its fix below it; Enter copies it',
  );
  pick.matchOnDescription = true;
  pick.items = [...failed, ...checks.filter(({ ok }) => ok)].map(itemOf);
  const copy = async (item: CheckItem | undefined) => {
    if (item?.fix) {
      await env.clipboard.writeText(item.fix);
      mention('Copied what to do', 3_000);
    }
    pick.hide();
  };
  pick.onDidTriggerItemButton(({ item }) => void copy(item));
  pick.onDidAccept(() => void copy(pick.selectedItems[0]));
  pick.onDidHide(() => pick.dispose());
  pick.show();
}

const itemOf = ({ check, ok, found, fix }: Check): CheckItem => ({
  label: plain(check),
  description: plain(found),
  iconPath: new ThemeIcon(ok ? 'pass' : 'error'),
  fix,
  ...(fix === null ? {} : { detail: plain(fix), buttons: [COPY] }),
});

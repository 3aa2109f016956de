/**
 * Opens the packaged extension in VS Code, runs the commands that it is given by their titles in the palette, and makes
 * a picture: for those who want to see what they build. README.md has its options.
 */
import { parseArgs } from 'node:util';
import { nodePaths } from '../../agent/lab/description';
import { VIEWPORT } from './harness/browser';
import { newestPackage } from './harness/extension';
import { isTheme, THEMES } from './harness/themes';
import { Vscode } from './harness/vscode';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    lab: { type: 'string', default: 'lab' },
    theme: { type: 'string', default: 'dark' },
    out: { type: 'string', default: 'look.png' },
    folder: { type: 'string' },
    view: { type: 'string' },
    wait: { type: 'string', default: '3' },
    width: { type: 'string', default: String(VIEWPORT.width) },
    height: { type: 'string', default: String(VIEWPORT.height) },
  },
});

async function main(): Promise<void> {
  if (!isTheme(values.theme)) throw new Error(`--theme is one of ${Object.keys(THEMES).join(', ')}`);
  const vscode = await Vscode.open({
    settings: { 'workbench.colorTheme': THEMES[values.theme] },
    env: { GODWIT_LAB: values.lab, GODWIT_AGENT: nodePaths(values.lab, 'node1').agent.socket },
    extensions: [newestPackage()],
    view: 'Godwit',
    ...(values.folder ? { folder: values.folder } : {}),
  });
  try {
    const { workbench } = vscode;
    await workbench.page.setViewportSize({ width: Number(values.width), height: Number(values.height) });
    if (values.view) await workbench.openView(values.view);
    for (const command of positionals) await workbench.command(command);
    await workbench.page.waitForTimeout(Number(values.wait) * 1000);
    await workbench.picture(values.out);
    for (const message of await workbench.messages()) console.log(`message: ${message}`);
    console.log(values.out);
  } catch (error) {
    console.error(`kept in ${await vscode.keep('look')}`);
    throw error;
  } finally {
    await vscode.close();
  }
}

void main().catch((error) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});

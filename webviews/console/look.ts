/** The editor's terminal colours and font, as xterm.js takes them. */
import type { ITerminalOptions, ITheme } from '@xterm/xterm';
import { computed, isHighContrast } from '../theme';

const ANSI = ['Black', 'Red', 'Green', 'Yellow', 'Blue', 'Magenta', 'Cyan', 'White'] as const;

export function terminalTheme(): ITheme {
  const theme: ITheme = {
    background: computed('var(--vscode-terminal-background, var(--vscode-editor-background))'),
    foreground: computed('var(--vscode-terminal-foreground, var(--vscode-editor-foreground))'),
    cursor: computed('var(--vscode-terminalCursor-foreground, var(--vscode-terminal-foreground))'),
    selectionBackground: computed(
      'var(--vscode-terminal-selectionBackground, var(--vscode-editor-selectionBackground))',
    ),
    scrollbarSliderBackground: computed('var(--vscode-scrollbarSlider-background)'),
    scrollbarSliderHoverBackground: computed('var(--vscode-scrollbarSlider-hoverBackground)'),
    scrollbarSliderActiveBackground: computed('var(--vscode-scrollbarSlider-activeBackground)'),
  };
  if (isHighContrast())
    theme.selectionForeground = computed(
      'var(--vscode-terminal-selectionForeground, var(--vscode-editor-selectionForeground))',
    );
  for (const color of ANSI) {
    const name = color.toLowerCase() as Lowercase<typeof color>;
    theme[name] = computed(`var(--vscode-terminal-ansi${color})`);
    theme[`bright${color}`] = computed(`var(--vscode-terminal-ansiBright${color})`);
  }
  return theme;
}

export function terminalFont(): Pick<ITerminalOptions, 'fontFamily' | 'fontSize'> {
  const style = getComputedStyle(document.documentElement);
  const family = style.getPropertyValue('--vscode-editor-font-family').trim();
  const size = Number.parseFloat(style.getPropertyValue('--vscode-editor-font-size'));
  return { fontFamily: family || 'monospace', fontSize: size || 13 };
}
